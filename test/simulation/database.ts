import { crashBudget } from "@hark/core";

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

type Row = Record<string, unknown>;
type Values = readonly any[];

const anHour = 3_600_000;

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

  /** Runs one of core's statements by its name. Throws what PostgreSQL would. */
  execute(name: string, values: Values, session: Session): Row[] {
    const statement = statements[name];
    if (!statement)
      throw new Error(`The simulated database does not know the statement "${name}": add it to database.ts`);
    return statement.call(this, values, session);
  }

  /** Takes claims that still hold out of the running jobs, and hands their keys on. */
  take(claims: readonly { id: bigint; token: string }[]): Running[] {
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

  complete(ids: string, tokens: string): Running[] {
    const claims = claimsIn(ids, tokens);
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

type StatementModel = (this: Tables, values: Values, session: Session) => Row[];

const statements: Record<string, StatementModel> = {
  "register-worker": function ([id, , , , queues, leaseMs]) {
    if (this.workers.has(id)) throw Object.assign(new Error("duplicate key"), { code: "23505" });
    const names = Object.keys(JSON.parse(queues) as object);
    const { now } = this;
    this.workers.set(id, { id, queues: names, startedAt: now, expiresAt: now + leaseMs, deadAt: undefined });
    return [];
  },

  "renew-lease": function ([id, leaseMs]) {
    const row = this.workers.get(id);
    if (!row || !this.isAlive(id)) return [];
    row.expiresAt = this.now + leaseMs;
    const peers = row.queues.map((queue) => {
      const of = [...this.workers.values()].filter((peer) => peer.queues.includes(queue) && this.isAlive(peer.id));
      return [queue, of.map((peer) => peer.id).toSorted()];
    });
    return [{ peers: Object.fromEntries(peers) }];
  },

  "leave-workers": function ([id]) {
    this.forget(id);
    return [];
  },

  "certify-deaths": function () {
    const { now } = this;
    const owners = new Set([...this.running.values()].map(({ worker }) => worker));
    for (const { id, deadAt } of this.workers.values())
      if (deadAt !== undefined && deadAt < now - anHour && !owners.has(id)) this.workers.delete(id);
    const expired = [...this.workers.values()].filter(
      ({ deadAt, expiresAt }) => deadAt === undefined && expiresAt < now,
    );
    for (const row of expired) row.deadAt = now;
    return expired.map(({ id }) => ({ id, name: "" }));
  },

  "survey-leases": function ([worker]) {
    const others = [...this.workers.values()].filter(({ id, deadAt }) => deadAt === undefined && id !== worker);
    const next = Math.min(...others.map(({ expiresAt }) => expiresAt));
    const running = [...this.running.values()];
    return [
      {
        next_expiry_ms: next === Number.POSITIVE_INFINITY ? null : next - this.now,
        has_orphans: running.some((held) => isOrphan(this, held)),
        mine: running
          .filter((held) => held.worker === worker)
          .map(({ job, token }) => [String(job.id), token, job.attempt]),
      },
    ];
  },

  "rescue-jobs": function ([limit]) {
    const orphans = [...this.running.values()]
      .filter((held) => isOrphan(this, held))
      .toSorted((one, other) => (one.job.id < other.job.id ? -1 : 1))
      .slice(0, limit as number);
    const back: Job[] = [];
    for (const held of orphans) {
      const { job } = held;
      this.running.delete(job.id);
      job.crashCount += 1;
      const isDead = job.attempt >= job.maxAttempts || job.crashCount >= crashBudget;
      if (isDead) this.dead.set(job.id, { reason: "worker_died", attempt: job.attempt });
      else back.push(Object.assign(job, { state: "ready", runAt: this.now }));
      this.moved(held, { to: "rescued", isDead });
    }
    this.putBack(back);
    this.handOn(orphans);
    return [{ rescued: orphans.length }];
  },

  "claim-jobs": claim,

  "settle-and-claim-jobs": function (values, session) {
    // Both see the tables as they were: keys that come free by what is settled are claimed the next time.
    const [, , , , , , , ids, tokens] = values;
    const claimed = claim.call(this, values, session, () => {
      const settled = this.complete(ids, tokens);
      return settled;
    });
    return claimed;
  },

  "park-jobs": function ([queue, keys, limit]) {
    const running = new Set(
      [...this.running.values()].flatMap(({ job }) => (job.queue === queue && job.key !== undefined ? job.key : [])),
    );
    const held = (keys as string[]).filter((key) => running.has(key));
    const blocked = [...this.jobs.values()].filter(
      (job) => job.queue === queue && job.state === "ready" && job.key !== undefined && held.includes(job.key),
    );
    for (const job of blocked.toSorted((one, other) => (one.id < other.id ? -1 : 1)).slice(0, limit as number))
      job.state = "parked";
    return held.map((key) => ({ key }));
  },

  "complete-jobs": function ([ids, tokens]) {
    const settled = this.complete(ids, tokens);
    this.handOn(settled);
    return settled.map(({ job }) => ({ id: job.id }));
  },

  "retry-jobs": function ([ids, outcomes]) {
    const told = JSON.parse(outcomes) as Record<
      string,
      { token: string; ending: string; delay_ms: number; attempt: number }
    >;
    const settled = this.take(idsIn(ids).map((id) => ({ id, token: told[String(id)]!.token })));
    const back = settled.map((held) => {
      const { ending, delay_ms: delayMs, attempt } = told[String(held.job.id)]!;
      this.moved(held, { to: "back", ending, attempt });
      const state = delayMs > 0 ? ("scheduled" as const) : ("ready" as const);
      return Object.assign(held.job, { state, attempt, runAt: this.now + delayMs });
    });
    this.putBack(back);
    this.handOn(settled);
    return settled.map(({ job }) => ({ id: job.id }));
  },

  "bury-jobs": function ([ids, outcomes]) {
    const told = JSON.parse(outcomes) as Record<string, { token: string; ending: string; reason: string }>;
    const settled = this.take(idsIn(ids).map((id) => ({ id, token: told[String(id)]!.token })));
    for (const held of settled) {
      const { ending, reason } = told[String(held.job.id)]!;
      this.dead.set(held.job.id, { reason, attempt: held.job.attempt });
      this.moved(held, { to: "dead", ending, reason });
    }
    this.handOn(settled);
    return settled.map(({ job }) => ({ id: job.id }));
  },

  "promote-jobs": function ([limit, afterMs]) {
    const { now } = this;
    const scheduled = [...this.jobs.values()]
      .filter(({ state, runAt }) => state === "scheduled" && runAt >= (afterMs as number))
      .toSorted((one, other) => one.runAt - other.runAt);
    const due = scheduled.filter(({ runAt }) => runAt <= now).slice(0, limit as number);
    const next = scheduled.find((job) => !due.includes(job));
    const nextRunAt = next?.runAt; // before the update
    this.makeReady(due);
    return [
      {
        promoted: due.length,
        next_due_in_ms: nextRunAt === undefined ? null : nextRunAt - now,
        next_due_at_ms: nextRunAt === undefined ? null : Math.floor(nextRunAt),
        looked_at_ms: Math.floor(now),
      },
    ];
  },

  "probe-jobs": function ([queue, types]) {
    const isAnyReady = [...this.jobs.values()].some(
      (job) => job.queue === queue && job.state === "ready" && (types as string[]).includes(job.type),
    );
    return [{ is_any_ready: isAnyReady }];
  },

  "held-claims": function ([ids, tokens]) {
    return [...this.running.values()]
      .filter(({ job, token }) => (ids as bigint[]).includes(job.id) && (tokens as string[]).includes(token))
      .map(({ job, token }) => ({ id: job.id, token }));
  },

  "unpark-jobs": function ([limit]) {
    return [{ unparked: this.unpark(limit) }];
  },

  "arm-gate": function ([queue], { marks }) {
    marks.set(queue, (marks.get(queue) ?? 0) + 1);
    return [{ writers: [...this.writers] }];
  },

  "disarm-gate": function ([queue], { marks }) {
    const count = marks.get(queue) ?? 0;
    marks.set(queue, Math.max(count - 1, 0));
    return [{ was_armed: count > 0 }];
  },

  "open-writers": function ([among]) {
    const open = [...this.writers].filter((writer) => among === null || (among as string[]).includes(writer));
    return open.map((virtualtransaction) => ({ virtualtransaction }));
  },

  // Upkeep that touches no job.
  "create-partitions": () => [{ created: 0 }],
  "drop-partitions": () => [{ dropped: 0, deleted: 0, waiting: 0 }],
  "fold-stats": () => [{ folded: 0 }],
  "unhandled-types": () => [],
  "horizon-holders": () => [],
  "end-frozen-listeners": () => [],
  "notification-queue-usage": () => [{ usage: 0 }],
};

function claim(this: Tables, values: Values, _session: Session, settle?: () => Running[]): Row[] {
  const [queue, limit, worker, token, types, leastPriority, afterId] = values;
  const keyOf = ({ job }: Running) => (job.queue === queue && job.key !== undefined ? [job.key] : []);
  const runningKeys = new Set([...this.running.values()].flatMap(keyOf));
  const ready = this.waiting((job) => job.queue === queue && job.state === "ready");
  const blocked = new Set(ready.flatMap(({ key }) => (key !== undefined && runningKeys.has(key) ? [key] : [])));
  const next = ready
    .filter(({ type, priority, id, key }) => {
      const isAfter = priority >= (leastPriority as number) && id > (afterId as bigint);
      return isAfter && (types as string[]).includes(type) && (key === undefined || !runningKeys.has(key));
    })
    .slice(0, this.isAlive(worker) ? (limit as number) : 0);

  const settled = settle?.();
  const rows: Row[] = [];
  const taken = new Set<string>();
  for (const job of next) {
    if (job.key !== undefined) {
      if (taken.has(job.key)) {
        blocked.add(job.key);
        continue;
      }
      taken.add(job.key);
    }
    this.jobs.delete(job.id);
    job.attempt += 1;
    this.running.set(job.id, { job, worker, token });
    const { id, type, priority, attempt, maxAttempts, crashCount, key = null } = job;
    const row = { id, type, payload: {}, priority, attempt, key };
    rows.push({ ...row, max_attempts: maxAttempts, crash_count: crashCount });
  }
  if (settled) this.handOn(settled);
  for (const key of blocked) rows.push({ id: null, type: null, payload: null, key });
  if (settled) {
    const ids = settled.length > 0 ? settled.map(({ job }) => String(job.id)) : null;
    rows.push({ id: null, type: "settled", payload: ids, key: null });
  }
  return rows;
}

function isOrphan(tables: Tables, { worker }: Running): boolean {
  const row = tables.workers.get(worker);
  return row === undefined || row.deadAt !== undefined;
}

const partsOf = (literal: string) => (literal === "{}" ? [] : literal.slice(1, -1).split(","));

const idsIn = (literal: string) => partsOf(literal).map(BigInt);

function claimsIn(ids: string, tokens: string): { id: bigint; token: string }[] {
  const inOrder = partsOf(tokens);
  return idsIn(ids).map((id, place) => ({ id, token: inOrder[place]! }));
}
