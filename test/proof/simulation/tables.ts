/** A row of hark.jobs. Moments are in epoch ms by the database's clock. */
export interface Job {
  readonly id: bigint;
  readonly queue: string;
  readonly type: string;
  readonly priority: number;
  attempt: number;
  readonly maxAttempts: number;
  crashCount: number;
  readonly key: string | undefined;
  runAt: number;
  state: "ready" | "scheduled" | "parked";
}

/** A row of hark.running_jobs. */
export interface Running {
  readonly job: Job;
  readonly worker: string;
  readonly token: string;
}

/** What proves that a running job is its worker's. */
export type Claim = Pick<Running, "token"> & { readonly id: bigint };

/** What became of a claim, as a statement wrote it. */
export type Move =
  | { readonly to: "completed" }
  | { readonly to: "back"; readonly ending: string; readonly attempt: number }
  | { readonly to: "dead"; readonly ending: string; readonly reason: string }
  | { readonly to: "rescued"; readonly isDead: boolean }
  | { readonly to: "cancelled" };

export interface WorkerRow {
  readonly id: string;
  readonly queues: readonly string[];
  readonly startedAt: number;
  expiresAt: number;
  deadAt: number | undefined;
}

/** A session with state: its marks go with it. */
export interface Session {
  readonly marks: Map<string, number>;
}

/** What the rest of the world has to do with the tables. */
export interface Surroundings {
  /** The database's clock, in epoch ms. */
  now(): number;
  notify(channel: string, payload: string): void;
  /** A claim came to its end: its job is where `move` says. */
  moved(running: Running, move: Move): void;
  /** A worker's registration ends while it still owns these. */
  left(worker: string, owned: readonly Running[]): void;
}

/** As PostgreSQL tells of what it will not store, as when a trigger of the application's refuses it. */
class Refusal extends Error {
  readonly code = "P0001";
}

/** When producers find it worth a notification that a job is due, as in hark.announce_jobs. */
const announced = { withinMs: 10_000, soonMs: 1_000 };

/**
 * The tables as core's statements see them, in maps. Each statement takes effect as a whole, at one moment: what happens between
 * two statements' locks is the interleaver's to try.
 */
export class Tables {
  readonly jobs = new Map<bigint, Job>();
  readonly running = new Map<bigint, Running>();
  readonly finished = new Map<bigint, { readonly state: "completed" | "cancelled"; readonly attempt: number }>();
  readonly dead = new Map<bigint, { readonly reason: string; readonly attempt: number }>();
  readonly workers = new Map<string, WorkerRow>();
  readonly sessions = new Set<Session>();
  /** Transactions that have written to hark.jobs and are still open. */
  readonly writers = new Set<string>();
  /** Jobs of which no success can be stored. */
  readonly unstorable = new Set<bigint>();
  readonly #around: Surroundings;
  #announcements = 0;

  constructor(around: Surroundings) {
    this.#around = around;
  }

  /** Where a job is, in one word: a job that is nowhere is lost, and one in two places is two. */
  placesOf(id: bigint): string[] {
    const places: string[] = [];
    const job = this.jobs.get(id);
    if (job) places.push(job.state);
    if (this.running.has(id)) places.push("running");
    const finished = this.finished.get(id);
    if (finished) places.push(finished.state);
    if (this.dead.has(id)) places.push("dead");
    return places;
  }

  /** Whether the database takes this worker's lease to hold. */
  isAlive(worker: string): boolean {
    const row = this.workers.get(worker);
    return row !== undefined && row.deadAt === undefined && row.expiresAt > this.#around.now();
  }

  /** What an insert of these would announce, decided as by the trigger: when it runs, not when it commits. */
  announcementsOf(fresh: readonly Job[]): { channel: string; payload: string }[] {
    const now = this.#around.now();
    const ready = Map.groupBy(
      fresh.filter(({ state }) => state === "ready"),
      ({ queue }) => queue,
    );
    const told = [...ready]
      .filter(([queue]) => [...this.sessions].some(({ marks }) => (marks.get(queue) ?? 0) > 0))
      .map(([queue, { length }]) => ({
        channel: "job_ready",
        payload: `${queue} ${length} ${(this.#announcements += 1) % 1_000_000}`,
      }));
    const due = Math.min(...fresh.flatMap(({ state, runAt }) => (state === "scheduled" ? [runAt] : [])));
    const isEarlier = [...this.jobs.values()].some(
      ({ state, runAt }) => state === "scheduled" && runAt >= now + announced.soonMs && runAt < due,
    );
    if (due < now + announced.withinMs && !isEarlier)
      told.push({ channel: "job_scheduled", payload: String(Math.floor(due)) });
    return told;
  }

  /** Takes claims that still hold out of the running jobs, and hands their keys on. */
  take(claims: readonly Claim[]): Running[] {
    const taken = claims.flatMap(({ id, token }) => {
      const held = this.running.get(id);
      return held?.token === token ? [held] : [];
    });
    for (const { job } of taken) this.running.delete(job.id);
    return taken;
  }

  handOn(gone: readonly Running[]): void {
    for (const { job } of gone) {
      if (job.key === undefined) continue;
      const [next] = this.waiting(
        ({ queue, key, state }) => queue === job.queue && key === job.key && state === "parked",
      );
      if (next) this.makeReady([next]);
    }
  }

  makeReady(jobs: readonly Job[]): void {
    for (const job of jobs) Object.assign(job, { state: "ready", runAt: this.#around.now() });
    this.announce(jobs);
  }

  putBack(jobs: readonly Job[]): void {
    const told = this.announcementsOf(jobs);
    for (const job of jobs) this.jobs.set(job.id, job);
    for (const { channel, payload } of told) this.#around.notify(channel, payload);
  }

  announce(changed: readonly Job[]): void {
    for (const { channel, payload } of this.announcementsOf(changed)) this.#around.notify(channel, payload);
  }

  /** The most urgent first. */
  waiting(isWanted: (job: Job) => boolean): Job[] {
    return [...this.jobs.values()]
      .filter(isWanted)
      .toSorted((one, other) => other.priority - one.priority || (one.id < other.id ? -1 : 1));
  }

  moved(running: Running, move: Move): void {
    this.#around.moved(running, move);
  }

  get now(): number {
    return this.#around.now();
  }

  forget(worker: string): void {
    const owned = [...this.running.values()].filter((running) => running.worker === worker);
    this.#around.left(worker, owned);
    this.workers.delete(worker);
  }

  /** Completes claims that still hold. Throws, and completes none, if one of them is refused. */
  complete(claims: readonly Claim[]): Running[] {
    for (const { id, token } of claims) {
      if (this.unstorable.has(id) && this.running.get(id)?.token === token)
        throw new Refusal(`a trigger of the application's refuses job ${id}`);
    }
    const settled = this.take(claims);
    for (const held of settled) {
      this.finished.set(held.job.id, { state: "completed", attempt: held.job.attempt });
      this.moved(held, { to: "completed" });
    }
    return settled;
  }

  /** Cancels a job that waits or runs; answers whether there was one. */
  cancel(id: bigint): boolean {
    const job = this.jobs.get(id);
    const held = this.running.get(id);
    if (!job && !held) return false;
    this.jobs.delete(id);
    this.running.delete(id);
    this.finished.set(id, { state: "cancelled", attempt: (job ?? held!.job).attempt });
    if (held) {
      this.moved(held, { to: "cancelled" });
      this.handOn([held]);
      this.#around.notify("job_cancelled", String(id));
    }
    if (job?.state === "ready") this.unpark(1_000);
    return true;
  }

  unpark(limit: number): number {
    const isFree = ({ queue, key }: Job) =>
      ![...this.running.values()].some(({ job }) => job.queue === queue && job.key === key) &&
      ![...this.jobs.values()].some((job) => job.queue === queue && job.key === key && job.state === "ready");
    const stranded = this.waiting((job) => job.state === "parked" && isFree(job));
    const first = new Map(stranded.toReversed().map((job) => [`${job.queue} ${job.key}`, job]));
    const jobs = [...first.values()].slice(0, limit);
    this.makeReady(jobs);
    return jobs.length;
  }
}
