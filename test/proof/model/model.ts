import type { Place } from "../../support/places.ts";

export interface ModelJob {
  readonly id: bigint;
  readonly type: string;
  state: "scheduled" | "ready" | "parked" | "running" | "completed" | "cancelled" | "dead";
  readonly priority: number;
  attempt: number;
  readonly maxAttempts: number;
  crashCount: number;
  readonly key: string | undefined;
  readonly uniqueKey: string | undefined;
  /** While it runs. */
  worker: string | undefined;
  token: string | undefined;
  /** Lines in the ledger. */
  lines: number;
}

/** One claim of one job, which may be over by now. */
export interface Grant {
  readonly id: bigint;
  readonly token: string;
  readonly attempt: number;
}

export type NewModelJob = Pick<ModelJob, "id" | "type" | "priority" | "maxAttempts" | "key" | "uniqueKey"> & {
  isDue: boolean;
};

/** How an attempt ends, in the words of the design's table of outcomes. */
export type Way =
  | { readonly kind: "completed" | "fatal" | "interrupted" }
  | { readonly kind: "error" | "retry_after" | "snoozed"; readonly isDue: boolean };

/** Crashes after which a job is poison. */
const mostCrashes = 3;

/**
 * One queue as the design tells it, in maps: what a database that keeps its promises must look like
 * after each command.
 */
export class QueueModel {
  readonly jobs = new Map<bigint, ModelJob>();
  readonly workers = new Map<string, "alive" | "expired" | "dead">();
  readonly grants: Grant[] = [];
  readonly counted = { completed: 0, cancelled: 0, dead: 0 };

  /** Jobs in a state, oldest first. */
  of(state: ModelJob["state"]): ModelJob[] {
    return [...this.jobs.values()]
      .filter((job) => job.state === state)
      .toSorted((one, other) => Number(one.id - other.id));
  }

  /** The unfinished job that holds a unique key. */
  holderOf(uniqueKey: string | undefined): ModelJob | undefined {
    if (uniqueKey === undefined) return undefined;
    return [...this.jobs.values()].find((job) => job.uniqueKey === uniqueKey && isUnfinished(job));
  }

  insert({ isDue, ...job }: NewModelJob): void {
    const state = isDue ? "ready" : "scheduled";
    const fresh = { attempt: 0, crashCount: 0, worker: undefined, token: undefined, lines: 0 };
    this.jobs.set(job.id, { ...job, ...fresh, state });
  }

  /** Keys that run now. */
  get runningKeys(): ReadonlySet<string> {
    return new Set(this.of("running").flatMap(({ key }) => key ?? []));
  }

  /**
   * Whether a claim is of jobs alone that have no key and may be tried again: blocked ones among
   * the most urgent count too.
   */
  isPlain(worker: string, limit: number, types?: readonly string[]): boolean {
    if (this.workers.get(worker) !== "alive") return true;
    const next = inLine(this.of("ready"), types).slice(0, limit);
    return next.every(({ key, maxAttempts }) => key === undefined && maxAttempts > 1);
  }

  /**
   * The most urgent ready jobs whose key is free, of each key the first; and the keys for which
   * ready ones have to wait, if the claim got fewer than it asked for. With `types` a claim by
   * these types.
   */
  claim(
    worker: string,
    token: string,
    limit: number,
    types?: readonly string[],
  ): { claimed: bigint[]; blockedKeys: string[] } {
    const running = this.runningKeys;
    const ready = this.of("ready");
    const free = ready.filter(({ key }) => key === undefined || !running.has(key));
    const next = inLine(free, types)
      .slice(0, this.workers.get(worker) === "alive" ? limit : 0)
      .toSorted(byUrgency);
    const waiting = next.length < limit ? ready : []; // a claim that is full does not ask
    const blocked = new Set(waiting.flatMap(({ key }) => (key !== undefined && running.has(key) ? key : [])));
    const taken = new Set<string>();
    const claimed: bigint[] = [];
    for (const job of next) {
      if (job.key !== undefined && taken.has(job.key)) {
        blocked.add(job.key);
        continue;
      }
      if (job.key !== undefined) taken.add(job.key);
      Object.assign(job, { state: "running", attempt: job.attempt + 1, worker, token });
      claimed.push(job.id);
      this.grants.push({ id: job.id, token, attempt: job.attempt });
    }
    return { claimed, blockedKeys: [...blocked].toSorted() };
  }

  /** The job of a claim that still holds. */
  heldBy({ id, token }: Grant): ModelJob | undefined {
    const job = this.jobs.get(id);
    return job?.state === "running" && job.token === token ? job : undefined;
  }

  /** Ends attempts; returns the ids of those that were still held. */
  settle(grants: readonly Grant[], way: Way): bigint[] {
    const held = grants.flatMap((grant) => this.heldBy(grant) ?? []);
    for (const job of held) this.#end(job, way);
    return held.map(({ id }) => id);
  }

  #end(job: ModelJob, way: Way): void {
    if (way.kind !== "completed" || job.attempt > 1) job.lines += 1;
    const isLast = job.attempt === job.maxAttempts;
    switch (way.kind) {
      case "completed":
        this.#finish(job, "completed");
        break;
      case "fatal":
        this.#finish(job, "dead");
        break;
      case "error":
      case "retry_after":
        if (isLast) this.#finish(job, "dead");
        else this.#leave(job, way.isDue ? "ready" : "scheduled");
        break;
      case "snoozed":
        job.attempt -= 1;
        this.#leave(job, way.isDue ? "ready" : "scheduled");
        break;
      case "interrupted":
        job.attempt -= 1;
        this.#leave(job, "ready");
        break;
      default:
        way satisfies never;
    }
  }

  /** Returns the state it was in, if it was unfinished. */
  cancel(id: bigint): ModelJob["state"] | undefined {
    const job = this.jobs.get(id);
    if (!job || !isUnfinished(job)) return undefined;
    const { state } = job;
    job.lines += 1;
    this.#finish(job, "cancelled");
    return state;
  }

  /** Takes back the oldest `limit` jobs of the dead; returns how many. */
  rescue(limit: number): number {
    const orphans = this.of("running").filter(({ worker }) => this.workers.get(worker!) === "dead");
    for (const job of orphans.slice(0, limit)) {
      job.lines += 1;
      job.crashCount += 1;
      if (job.attempt === job.maxAttempts || job.crashCount === mostCrashes) this.#finish(job, "dead");
      else this.#leave(job, "ready");
    }
    return Math.min(orphans.length, limit);
  }

  /** Returns whether the dead letter came back: not if its unique key was given away. */
  requeue(id: bigint): boolean | undefined {
    const job = this.jobs.get(id);
    if (job?.state !== "dead") return undefined;
    if (this.holderOf(job.uniqueKey)) return false;
    Object.assign(job, { state: "ready", attempt: 0, crashCount: 0 });
    this.counted.dead -= 1;
    return true;
  }

  /** Parks the ready jobs of keys that run; returns whether all of the keys did. */
  park(keys: readonly string[]): boolean {
    const running = this.runningKeys;
    for (const job of this.of("ready"))
      if (job.key !== undefined && running.has(job.key) && keys.includes(job.key)) job.state = "parked";
    return keys.every((key) => running.has(key));
  }

  /** Frees the first of each key for which nobody runs or is ready; returns how many. */
  unpark(): number {
    const busy = new Set([...this.of("running"), ...this.of("ready")].map(({ key }) => key));
    const keys = new Set(this.of("parked").flatMap(({ key }) => (key !== undefined && !busy.has(key) ? key : [])));
    for (const key of keys) this.#handOff(key);
    return keys.size;
  }

  /** Every job as the tables must have it. */
  places(): Place[] {
    return [...this.jobs.values()]
      .toSorted((one, other) => Number(one.id - other.id))
      .map(({ id, state, attempt, crashCount, key, uniqueKey, worker, token, lines }) => ({
        id,
        state,
        attempt,
        crashCount,
        key: key ?? null,
        uniqueKey: uniqueKey ?? null,
        worker: worker ?? null,
        token: token ?? null,
        keyHolder: this.holderOf(uniqueKey)?.id ?? null,
        lines,
      }));
  }

  #finish(job: ModelJob, state: "completed" | "cancelled" | "dead"): void {
    this.counted[state] += 1;
    this.#leave(job, state);
  }

  /** A job that goes while it runs, or is ready, gives its key to the most urgent parked one. */
  #leave(job: ModelJob, to: ModelJob["state"]): void {
    const hadTurn = job.state === "running" || job.state === "ready";
    Object.assign(job, { state: to, worker: undefined, token: undefined });
    if (hadTurn && job.key !== undefined) this.#handOff(job.key);
  }

  #handOff(key: string): void {
    const [first] = this.of("parked")
      .filter((job) => job.key === key)
      .toSorted(byUrgency);
    if (first) first.state = "ready";
  }
}

const byUrgency = (one: ModelJob, other: ModelJob) => other.priority - one.priority || Number(one.id - other.id);

function isUnfinished({ state }: ModelJob): boolean {
  return state === "scheduled" || state === "ready" || state === "parked" || state === "running";
}

/**
 * The jobs that a claim may take, in the order in which it takes them. By types, those types come
 * in the order of their most urgent jobs, and nothing is taken below the second of these.
 */
function inLine(jobs: readonly ModelJob[], types: readonly string[] | undefined): ModelJob[] {
  const sorted = jobs.toSorted(byUrgency);
  if (types === undefined) return sorted;
  const ofTypes = Map.groupBy(
    sorted.filter(({ type }) => types.includes(type)),
    ({ type }) => type,
  );
  const [, second] = [...ofTypes.values()].map(([head]) => head!);
  const least = second?.priority ?? Number.NEGATIVE_INFINITY;
  return [...ofTypes.values()].flat().filter(({ priority }) => priority >= least);
}
