import type { Backoff } from "@hark/core";
import type { Entry, EntryOf, Event, FaultKind } from "../ledger/entries.ts";
import type { FinalAttempt, FinalJob, FinalState, FinalWorker } from "../ledger/final-state.ts";

/** What the campaign holds Hark to. Times in ms. */
export interface Promises {
  leaseMs: number;
  backoff: Backoff;
  /** How many retries of one process may be due in so many ms before it puts further ones off, and by how many ms at most. */
  retryBudget: { free: number; inMs: number; stretchMs: number };
  crashBudget: number;
  /** From the calm until the last job is final. */
  finalWithinMs: number;
  /** Jobs that one worker runs at once. */
  slots: number;
  /** From a dead worker's end until its jobs are taken back. */
  rescueMs: number;
  /** From due to start, of a worker that nothing disturbs. */
  probeMs: number;
  /** The same for 99 of 100 probes, once there is nothing else to do. */
  quietMs: number;
  /** From the end of a disturbance until its worker starts jobs again. */
  recoveryMs: Record<Disturbance, number>;
  /** This share of all probes may be later than that, by so many ms more at most. */
  stragglers: { share: number; byMs: number };
  /** How many sessions a worker opens one after the other until it starts jobs again: what they take comes on top. */
  sessions: number;
}

/** Why a worker may be late. "block": a job keeps its event loop busy. "down": its process is gone. "quarantine": it runs a suspect. */
export type Disturbance = FaultKind | "block" | "down" | "quarantine";

export interface Window {
  kind: Disturbance;
  from: number;
  to: number;
}

/** Everything that was written down about one campaign: the checker's whole input. */
export interface History {
  /** In the order of time. */
  entries: readonly Entry[];
  final: FinalState;
  promises: Promises;
}

/** One claim of a job, as the database has it: from its start until its owner had it no more. */
export interface Claim {
  id: string;
  token: string | null;
  attempt: number;
  worker: string | null;
  startedAt: number;
  /** Infinity while it runs. */
  endedAt: number;
  /** Of hark.attempts; "completed" for a clean first success, which is not written there; "running". */
  ending: string;
}

/** The database's clock is the machine's, but our entries are cut to whole ms. */
export const clockMs = 2;

/** A look at the machine's pace counts for this long, in ms. */
const paceEveryMs = 1_000;

/** A history with its indexes. */
export class Study {
  readonly history: History;
  readonly #byEvent = new Map<string, Entry[]>();
  readonly jobs: ReadonlyMap<string, FinalJob[]>;
  /** By job, in the order of their start. */
  readonly claims: ReadonlyMap<string, Claim[]>;
  readonly workers: ReadonlyMap<string, FinalWorker>;
  readonly wishes: ReadonlyMap<string, EntryOf<"wished">>;
  readonly starts: ReadonlyMap<string, EntryOf<"started">[]>;
  /** By job and token. */
  readonly ends: ReadonlyMap<string, EntryOf<"ended">>;
  /** By job. */
  readonly attempts: ReadonlyMap<string, FinalAttempt[]>;
  readonly #nameOfPid: ReadonlyMap<number, string>;
  /** By registration. */
  readonly #pidOfWorker: Map<string, number>;
  readonly #exits: ReadonlyMap<number, EntryOf<"exited">>;
  readonly #disturbances = new Map<string, Window[]>();

  constructor(history: History) {
    this.history = history;
    for (const entry of history.entries) {
      const sameEvent = this.#byEvent.get(entry.event) ?? [];
      sameEvent.push(entry);
      this.#byEvent.set(entry.event, sameEvent);
    }
    this.jobs = Map.groupBy(history.final.jobs, ({ id }) => id);
    this.workers = new Map(history.final.workers.map((worker) => [worker.id, worker]));
    this.wishes = new Map(this.of("wished").map((wish) => [wish.ref, wish]));
    this.starts = Map.groupBy(this.of("started"), ({ id }) => id);
    this.ends = new Map(this.of("ended").map((end) => [`${end.id} ${end.token}`, end]));
    this.#nameOfPid = new Map(this.of("spawned").map(({ pid, name }) => [pid, name]));
    this.#exits = new Map(this.of("exited").map((exit) => [exit.pid, exit]));
    this.attempts = Map.groupBy(history.final.attempts, ({ id }) => id);
    this.claims = claimsOf(history.final);
    this.#pidOfWorker = new Map(history.final.workers.map(({ id, pid }) => [id, pid]));
    // Who stopped in order took its registration along; its jobs tell who it was.
    for (const [id, claims] of this.claims) {
      for (const { worker, token } of claims) {
        const start = this.starts.get(id)?.find((one) => one.token === token);
        if (worker !== null && start) this.#pidOfWorker.set(worker, start.pid);
      }
    }
  }

  get promises(): Promises {
    return this.history.promises;
  }

  get final(): FinalState {
    return this.history.final;
  }

  of<Name extends Event["event"]>(event: Name): EntryOf<Name>[] {
    return (this.#byEvent.get(event) ?? []) as EntryOf<Name>[];
  }

  /** When the campaign came to a point; infinity if it never did. */
  momentOf(event: "calm" | "quiet" | "over"): number {
    return this.of(event)[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  nameOf(pid: number): string {
    return this.#nameOfPid.get(pid) ?? `process ${pid}`;
  }

  exitOf(pid: number): EntryOf<"exited"> | undefined {
    return this.#exits.get(pid);
  }

  /** Faults that concern a process, or everybody; but a job that somebody locks is to hold up nobody. */
  faultsOn(name: string): EntryOf<"fault">[] {
    return this.of("fault").filter(
      ({ target, kind }) => (target === name || target === "server") && kind !== "lock row",
    );
  }

  /** The longest that a fresh session took on this machine between two moments, or just before; 0 if nothing is known. */
  slowestSession(from: number, to: number): number {
    const near = this.of("paced").filter(({ at, ms }) => at <= to && at + ms + paceEveryMs >= from);
    return Math.max(0, ...near.map(({ ms }) => ms));
  }

  /** All that may make a worker late, in the order of time. */
  disturbancesOf(name: string): readonly Window[] {
    const known = this.#disturbances.get(name) ?? this.#findDisturbances(name);
    this.#disturbances.set(name, known);
    return known;
  }

  #findDisturbances(name: string): Window[] {
    const windows: Window[] = this.faultsOn(name).map(({ kind, from, to }) => ({ kind, from, to }));
    const pids = new Set(this.of("spawned").flatMap((spawned) => (spawned.name === name ? [spawned.pid] : [])));

    const exits = this.of("exited").filter((exit) => exit.name === name);
    const readies = this.of("ready").filter((ready) => ready.name === name);
    for (const { at } of [...exits, ...this.of("spawned").filter((spawned) => spawned.name === name)]) {
      const back = readies.find((ready) => ready.at >= at);
      windows.push({ kind: "down", from: at, to: back?.at ?? Number.POSITIVE_INFINITY });
    }

    for (const run of this.of("started")) {
      if (run.does !== "block" || !pids.has(run.pid)) continue;
      const to = this.ends.get(`${run.id} ${run.token}`)?.at ?? this.exitOf(run.pid)?.at ?? run.at;
      windows.push({ kind: "block", from: run.at, to });
    }

    for (const claims of this.claims.values()) {
      let crashes = 0;
      for (const { ending, worker, startedAt, endedAt } of claims) {
        const pid = worker === null ? undefined : this.#pidOfWorker.get(worker);
        // A suspect first waits until all others have ended (docs/decisions/0007), and nothing is claimed meanwhile.
        if (crashes >= 2 && pid !== undefined && pids.has(pid))
          windows.push({ kind: "quarantine", from: startedAt, to: endedAt });
        if (ending === "crashed") crashes += 1;
      }
    }
    return windows.toSorted((one, other) => one.from - other.from);
  }
}

function claimsOf({ jobs, attempts }: FinalState): Map<string, Claim[]> {
  const claims: Claim[] = attempts.flatMap((row: FinalAttempt) =>
    row.startedAt === null
      ? [] // cancelled before it ran
      : [{ ...row, startedAt: row.startedAt, endedAt: row.finishedAt }],
  );
  const completed = new Set(attempts.flatMap(({ id, ending }) => (ending === "completed" ? [id] : [])));
  for (const { id, token, attempt, worker, state, startedAt, finishedAt } of jobs) {
    if (startedAt === null) continue;
    if (state === "running")
      claims.push({ id, token, attempt, worker, startedAt, endedAt: Number.POSITIVE_INFINITY, ending: "running" });
    if (state === "completed" && !completed.has(id))
      claims.push({ id, token, attempt, worker, startedAt, endedAt: finishedAt!, ending: "completed" });
  }
  const inOrder = claims.toSorted((one, other) => one.startedAt - other.startedAt || one.endedAt - other.endedAt);
  return Map.groupBy(inOrder, ({ id }) => id);
}
