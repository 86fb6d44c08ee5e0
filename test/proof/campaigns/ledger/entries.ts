/** What a job of the campaign does when it runs, as its payload says. */
export type Does =
  /** Returns after `ms`, or throws the reason of its signal. */
  | "sleep"
  /** Returns after `ms`, and ignores its signal. */
  | "ignore"
  /** Keeps the event loop busy for `ms`. */
  | "block"
  /** Throws on its first `times` attempts. */
  | "fail"
  /** Throws UnrecoverableError. */
  | "fatal"
  /** Ends its process, with exit code 0 or by SIGKILL. */
  | "exit"
  | "kill"
  /** Snoozes for `ms`, `times` times. */
  | "snooze"
  /** Writes a row in the transaction that completes it. */
  | "effect"
  /** Reports its start to the campaign. */
  | "probe";

/** What a producer asked for. The job must match it, whatever happens. */
export interface Wish {
  /**
   * Name of the wish, which the job's payload holds too. The job's id is only known when the answer
   * arrives.
   */
  ref: string;
  type: string;
  does: Does;
  ms?: number | undefined;
  times?: number | undefined;
  key?: string | undefined;
  uniqueKey?: string | undefined;
  maxAttempts: number;
  priority?: number | undefined;
  delayMs?: number | undefined;
  /** Whether an application row was written in the same transaction. */
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
  /** Not a fault of the campaign: the machine stood still for a while. */
  | "stall";

/** A fault that was done, and what shows that it took effect. */
export interface Fault {
  event: "fault";
  kind: FaultKind;
  /** The name of a process, or "server" for a fault that affects all. */
  target: string;
  from: number;
  /** When it was healed. */
  to: number;
  /**
   * For a server that crashed or was replaced by its standby: when it was gone, with everything it
   * had not written.
   */
  goneAt?: number;
  proof: string;
}

export type Event =
  // From producers.
  | ({ event: "wished" } & Wish)
  | { event: "enqueued"; ref: string; id: string; status: "inserted" | "duplicate" }
  /** The transaction was rolled back on purpose. */
  | { event: "rolled back"; ref: string }
  /** No answer, or an error. The job may be there or not. */
  | { event: "unknown"; ref: string; error: string }
  | { event: "cancel asked"; id: string }
  | { event: "cancelled"; id: string; wasIn: string | undefined }
  // From handlers.
  | { event: "started"; id: string; ref: string; token: string; attempt: number; does: Does; key?: string | undefined }
  | { event: "aborted"; id: string; token: string; reason: string | undefined }
  | { event: "ended"; id: string; token: string; how: "returned" | "threw" }
  // From workers.
  /**
   * What a worker logged about itself. It decides nothing, but shows what a late job waited for.
   */
  | { event: "logged"; says: string; facts: Record<string, unknown> }
  // From holders of locks.
  | { event: "granted"; key: string; fence: string; askedAt: number }
  // From the campaign.
  | Fault
  | { event: "spawned"; name: string }
  | { event: "ready"; name: string }
  /**
   * `by`: the fault that ended it, or a job that ends its process. Undefined if it ended by itself.
   */
  | { event: "exited"; name: string; code: number | string; by: string | undefined }
  /** The end of the log of a process that ended by itself. */
  | { event: "last words"; words: string }
  /**
   * How long a new session that listens took, in ms: the machine's own speed at that moment,
   * without Hark.
   */
  | { event: "paced"; ms: number }
  | { event: "probed"; id: string; worker: string; dueAt: number }
  /** A key whose jobs all wait, although none of them runs or is ready. `forMs`: for how long. */
  | { event: "standing"; key: string; forMs: number }
  /** Everything is healed, and no more faults follow. */
  | { event: "calm" }
  /** Every job was final or too late. From now on there are only probes. */
  | { event: "quiet" }
  | { event: "over" };

/**
 * `at`: in ms by the machine's wall clock, which is also the database's. `pid`: the process that it
 * is about, or that wrote it.
 */
export type Entry = Event & { at: number; pid: number };

export type EntryOf<Name extends Event["event"]> = Extract<Entry, { event: Name }>;
