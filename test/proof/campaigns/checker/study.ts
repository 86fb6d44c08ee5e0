import type { Backoff } from "@hark/core";
import type { Entry, EntryOf, Event, FaultKind } from "../ledger/entries.ts";
import type { FinalAttempt, FinalJob, FinalState, FinalWorker } from "../ledger/final-state.ts";

/** The promises that the campaign checks. Times in ms. */
export interface Promises {
  leaseMs: number;
  backoff: Backoff;
  /**
   * One process may have `free` retries due in `inMs`. It delays further ones, by `stretchMs` at
   * most.
   */
  retryBudget: { free: number; inMs: number; stretchMs: number };
  crashBudget: number;
  /** From the calm until the last job is final. */
  finalWithinMs: number;
  /** Jobs that one worker runs at once. */
  slots: number;
  /** From a worker's end until its jobs are rescued. */
  rescueMs: number;
  /** From due to start, for a worker that nothing disturbs. */
  probeMs: number;
  /** The same for 99 of 100 probes, when no other jobs run. */
  quietMs: number;
  /** From the end of a disturbance until its worker starts jobs again. */
  recoveryMs: Record<Disturbance, number>;
  /** This share of all probes may be later than that, by `byMs` more at most. */
  stragglers: { share: number; byMs: number };
  /**
   * How many sessions a worker opens one after the other until it starts jobs again. The time they
   * take comes on top.
   */
  sessions: number;
}

/**
 * Why a worker may be late. "block": a job blocks its event loop. "down": its process has ended.
 * "quarantine": it runs a suspect.
 */
export type Disturbance = FaultKind | "block" | "down" | "quarantine";

export interface Window {
  kind: Disturbance;
  from: number;
  to: number;
}

/** Everything recorded about one campaign: the checker's whole input. */
export interface History {
  /** In order of time. */
  entries: readonly Entry[];
  final: FinalState;
  promises: Promises;
}

/** One claim of a job, as the database has it: from its start until its owner lost or ended it. */
export interface Claim {
  id: string;
  token: string | null;
  attempt: number;
  worker: string | null;
  startedAt: number;
  /** Infinity while it runs. */
  endedAt: number;
  /**
   * As in hark.attempts, or "running". "completed" for a clean first success, which hark.attempts
   * does not hold.
   */
  ending: string;
}

/** The database's clock is the machine's, but entries are truncated to whole ms. */
export const clockMs = 2;

/** How long one measurement of the machine's pace counts, in ms. */
const paceEveryMs = 1_000;

/** A history with its indexes. */
export class Study {
  readonly history: History;
  readonly #byEvent = new Map<string, Entry[]>();
  readonly jobs: ReadonlyMap<string, FinalJob[]>;
  /** By job, in order of their start. */
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
  #acknowledged: ReadonlyMap<string, number> | undefined;

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
    // A worker that stopped in order removed its registration. Its jobs show which process it was.
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

  /** When an insert of this job was acknowledged, if it was. */
  acknowledgedAt(id: string): number | undefined {
    this.#acknowledged ??= new Map(
      this.of("enqueued").flatMap((entry) => (entry.status === "inserted" ? [[entry.id, entry.at] as const] : [])),
    );
    return this.#acknowledged.get(id);
  }

  of<Name extends Event["event"]>(event: Name): EntryOf<Name>[] {
    return (this.#byEvent.get(event) ?? []) as EntryOf<Name>[];
  }

  /** When the campaign came to a point, or infinity if it never did. */
  momentOf(event: "calm" | "quiet" | "over"): number {
    return this.of(event)[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  nameOf(pid: number): string {
    return this.#nameOfPid.get(pid) ?? `process ${pid}`;
  }

  exitOf(pid: number): EntryOf<"exited"> | undefined {
    return this.#exits.get(pid);
  }

  /**
   * Faults that affect a process, or all processes. A locked job is not among them: it must delay
   * nothing.
   */
  faultsOn(name: string): EntryOf<"fault">[] {
    return this.of("fault").filter(
      ({ target, kind }) => (target === name || target === "server") && kind !== "lock row",
    );
  }

  /**
   * The longest that a new session took on this machine between two moments, or just before. 0 if
   * nothing is known.
   */
  slowestSession(from: number, to: number): number {
    const near = this.of("paced").filter(({ at, ms }) => at <= to && at + ms + paceEveryMs >= from);
    return Math.max(0, ...near.map(({ ms }) => ms));
  }

  /** Everything that may make a worker late, in order of time. */
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
        // A suspect first waits until all other jobs have ended (docs/decisions/0007), and the
        // worker claims nothing meanwhile.
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
