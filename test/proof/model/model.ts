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
  /** While it runs: whether it gives its key to the next that is parked. */
  handsOff: boolean;
  /** While it runs: whether it was marked as about to start. */
  begun: boolean;
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

export interface Claimed {
  readonly claimed: readonly ModelJob[];
  readonly blockedKeys: string[];
}

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

  /**
   * Inserts a batch. Of the due jobs of a key only the most urgent is ready, and the others are
   * parked behind it.
   */
  insert(batch: readonly NewModelJob[]): void {
    const fresh = {
      attempt: 0,
      crashCount: 0,
      worker: undefined,
      token: undefined,
      handsOff: false,
      begun: false,
      lines: 0,
    };
    const heads = new Map<string, NewModelJob>();
    for (const job of batch.filter(({ isDue }) => isDue).toSorted(byUrgency))
      if (job.key !== undefined && !heads.has(job.key)) heads.set(job.key, job);
    for (const { isDue, ...job } of batch) {
      const isBehind = job.key !== undefined && heads.get(job.key)?.id !== job.id;
      const state = !isDue ? "scheduled" : isBehind ? "parked" : "ready";
      this.jobs.set(job.id, { ...job, ...fresh, state });
    }
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
   * ready ones have to wait: those of which it found more than it may take, and those that run, if
   * it found less than it asked for. One that looks at the head of the queue names all that run,
   * and parks the others of the keys that it takes. With `types` a claim by these types.
   */
  claim(
    worker: string,
    token: string,
    limit: number,
    { isHindered = false, types }: { isHindered?: boolean; types?: readonly string[] } = {},
  ): Claimed {
    const running = this.runningKeys;
    const ready = this.of("ready");
    const isAlive = this.workers.get(worker) === "alive";
    const free = ready.filter(({ key }) => key === undefined || !running.has(key));
    const next = inLine(free, types)
      .slice(0, isAlive ? limit : 0)
      .toSorted(byUrgency);
    const isShort = isHindered || next.length < limit;
    const blocked = new Set(ready.flatMap(({ key }) => (isShort && key !== undefined && running.has(key) ? key : [])));
    const taken = new Set<string>();
    const claimed: ModelJob[] = [];
    for (const job of next) {
      if (job.key !== undefined && taken.has(job.key)) {
        if (!isHindered) blocked.add(job.key);
        continue;
      }
      const handsOff = job.key !== undefined && (isHindered || this.#firstParked(job.key) !== undefined);
      if (job.key !== undefined) taken.add(job.key);
      claimed.push(this.#grant(job, { worker, token, handsOff }));
    }
    if (isHindered) for (const job of this.of("ready")) if (taken.has(job.key!)) job.state = "parked";
    return { claimed, blockedKeys: [...blocked].toSorted() };
  }

  /**
   * Completes jobs, and claims the most urgent parked one of each key that is handed on, unless a
   * ready job goes before it.
   */
  settleAndNext(grants: readonly Grant[], worker: string, token: string): { settled: bigint[]; claimed: ModelJob[] } {
    const held = grants.flatMap((grant) => this.heldBy(grant) ?? []);
    const [head] = this.of("ready").toSorted(byUrgency);
    const isAlive = this.workers.get(worker) === "alive";
    const next = held.flatMap((job) => {
      const first = job.handsOff && isAlive ? this.#firstParked(job.key!) : undefined;
      return first && (!head || byUrgency(first, head) < 0) ? first : [];
    });
    const claimed = next.map((job) => this.#grant(job, { worker, token, handsOff: true }));
    const passed = new Set(claimed.map(({ key }) => key));
    for (const job of held) this.#end(job, { kind: "completed" }, { givesKey: !passed.has(job.key) });
    return { settled: held.map(({ id }) => id), claimed };
  }

  #grant(job: ModelJob, claim: Pick<ModelJob, "worker" | "token" | "handsOff">): ModelJob {
    Object.assign(job, { state: "running", attempt: job.attempt + 1, begun: false, ...claim });
    this.grants.push({ id: job.id, token: claim.token!, attempt: job.attempt });
    return job;
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

  #end(job: ModelJob, way: Way, { givesKey = true } = {}): void {
    if (way.kind !== "completed" || job.attempt > 1) job.lines += 1;
    const isLast = job.attempt === job.maxAttempts;
    switch (way.kind) {
      case "completed":
        this.#finish(job, "completed", { givesKey });
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

  /** Marks jobs as about to start; returns the ids of those that are still held. */
  begin(grants: readonly Grant[]): bigint[] {
    const held = grants.flatMap((grant) => this.heldBy(grant) ?? []);
    for (const job of held) job.begun = true;
    return held.map(({ id }) => id);
  }

  /**
   * Takes back the oldest `limit` jobs of the dead; returns how many. A job that a crash may bury
   * is tried only if it was marked.
   */
  rescue(limit: number): number {
    const orphans = this.of("running").filter(({ worker }) => this.workers.get(worker!) === "dead");
    for (const job of orphans.slice(0, limit)) {
      job.lines += 1;
      const mayBury = job.attempt === job.maxAttempts || job.crashCount > 0;
      if (mayBury && !job.begun) {
        job.attempt -= 1;
        this.#leave(job, "ready");
        continue;
      }
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
    for (const job of this.of("running")) if (job.key !== undefined && keys.includes(job.key)) job.handsOff = true;
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

  #finish(job: ModelJob, state: "completed" | "cancelled" | "dead", how?: { givesKey: boolean }): void {
    this.counted[state] += 1;
    this.#leave(job, state, how);
  }

  /**
   * A job that is ready, or runs and hands off, gives its key to the most urgent parked one when it
   * goes.
   */
  #leave(job: ModelJob, to: ModelJob["state"], { givesKey = true } = {}): void {
    const hadTurn = job.state === "ready" || (job.state === "running" && job.handsOff);
    Object.assign(job, { state: to, worker: undefined, token: undefined, handsOff: false });
    if (hadTurn && givesKey && job.key !== undefined) this.#handOff(job.key);
  }

  #handOff(key: string): void {
    const first = this.#firstParked(key);
    if (first) first.state = "ready";
  }

  #firstParked(key: string): ModelJob | undefined {
    return this.of("parked")
      .filter((job) => job.key === key)
      .toSorted(byUrgency)[0];
  }
}

type Urgency = Pick<ModelJob, "priority" | "id">;
const byUrgency = (one: Urgency, other: Urgency) => other.priority - one.priority || Number(one.id - other.id);

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
