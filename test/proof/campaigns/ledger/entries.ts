/** What a job of the campaign does when it runs; its payload says so. */
export type Does =
  /** Returns after `ms`, or throws what its signal says. */
  | "sleep"
  /** Returns after `ms`, whatever its signal says. */
  | "ignore"
  /** Keeps the event loop busy for `ms`. */
  | "block"
  /** Throws on its first `times` attempts. */
  | "fail"
  /** Throws UnrecoverableError. */
  | "fatal"
  /** Ends its process: by exit code 0, or by SIGKILL. */
  | "exit"
  | "kill"
  /** Snoozes for `ms`, `times` times. */
  | "snooze"
  /** Writes a row in the transaction that completes it. */
  | "effect"
  /** Tells the campaign that it started. */
  | "probe";

/** What a producer asked for; the job is to be so, whatever happens to it. */
export interface Wish {
  /** Names the wish, in the job's payload too, since ids are only known when the answer arrives. */
  ref: string;
  type: string;
  does: Does;
  ms?: number | undefined;
  times?: number | undefined;
  key?: string | undefined;
  uniqueKey?: string | undefined;
  maxAttempts: number;
  delayMs?: number | undefined;
  /** An application's row was written in the same transaction. */
  inTransaction?: boolean;
}

export type FaultKind =
  | "cut"
  | "refuse"
  | "hole"
  | "hole up"
  | "hole down"
  | "delay"
  | "trickle"
  | "cut at commit"
  | "listener cut"
  | "listener hole"
  | "kill"
  | "stop"
  | "terminate"
  | "backends"
  | "lock row"
  | "crash"
  | "restart"
  | "promote"
  | "pooler killed"
  | "disk full"
  /** Not ours: the machine stood still for a while. */
  | "stall";

/** What happened to whom, and what shows that it took effect. */
export interface Fault {
  event: "fault";
  kind: FaultKind;
  /** The name of a process, or "server" for what concerns everybody. */
  target: string;
  from: number;
  /** When it was healed. */
  to: number;
  /** Of a server that crashed, alone or to be replaced by its standby: by then it was gone, with what it had not written. */
  goneAt?: number;
  proof: string;
}

export type Event =
  // Of producers.
  | ({ event: "wished" } & Wish)
  | { event: "enqueued"; ref: string; id: string; status: "inserted" | "duplicate" }
  /** The transaction was rolled back on purpose. */
  | { event: "rolled back"; ref: string }
  /** No answer, or an error: it may be there or not. */
  | { event: "unknown"; ref: string; error: string }
  | { event: "cancel asked"; id: string }
  | { event: "cancelled"; id: string; wasIn: string | undefined }
  // Of handlers.
  | { event: "started"; id: string; ref: string; token: string; attempt: number; does: Does; key?: string | undefined }
  | { event: "aborted"; id: string; token: string; reason: string | undefined }
  | { event: "ended"; id: string; token: string; how: "returned" | "threw" }
  // Of workers.
  /** What a worker logged of itself; nothing is decided by it, but it tells what a late job waited for. */
  | { event: "logged"; says: string; facts: Record<string, unknown> }
  // Of those who hold locks.
  | { event: "granted"; key: string; fence: string; askedAt: number }
  // Of the campaign.
  | Fault
  | { event: "spawned"; name: string }
  | { event: "ready"; name: string }
  /** `by`: the fault that ended it, or a job that was told to; undefined if it ended by itself. */
  | { event: "exited"; name: string; code: number | string; by: string | undefined }
  /** The end of what a process logged that ended by itself. */
  | { event: "last words"; words: string }
  /** What a fresh session that listens took, whatever Hark does: what the machine itself takes at that moment, in ms. */
  | { event: "paced"; ms: number }
  | { event: "probed"; id: string; worker: string; dueAt: number }
  /** Everything is healed: from now on nothing is done to anybody. */
  | { event: "calm" }
  /** Every job was final, or too late; from now on there are only probes. */
  | { event: "quiet" }
  | { event: "over" };

/** `at`: in ms by the machine's wall clock, which is the database's too. `pid`: whom it is about, else who wrote it. */
export type Entry = Event & { at: number; pid: number };

export type EntryOf<Name extends Event["event"]> = Extract<Entry, { event: Name }>;
