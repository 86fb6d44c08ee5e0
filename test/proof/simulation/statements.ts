import { crashBudget } from "@hark/core";
import type { Claim, Job, Running, Session, Tables } from "./tables.ts";

/*
 * Core's statements by their names, as moves of the simulated tables. One that core has and this has not fails the first run that
 * sends it.
 */

type Row = Record<string, unknown>;
type Values = readonly any[];

const anHour = 3_600_000;

/** Runs one of core's statements by its name. Throws what PostgreSQL would. */
export function executeStatement(tables: Tables, name: string, values: Values, session: Session): Row[] {
  const statement = statements[name];
  if (!statement)
    throw new Error(`The simulated database does not know the statement "${name}": add it to statements.ts`);
  return statement.call(tables, values, session);
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

  // Nothing crashes here, so that nothing is ever undone: what this leaves to see is the question that follows, and its answer.
  "claim-plain-jobs": function (values, session) {
    const first = claimable(this, values).slice(0, values[1] as number);
    const arePlain = first.every(({ key, maxAttempts }) => key === undefined && maxAttempts > 1);
    if (!arePlain) return [{ kind: "not plain" }];
    return claim.call(this, values, session).filter(({ kind }) => kind === "job"); // what is behind them may well be blocked
  },

  "confirm-claims": function ([ids, tokens, worker]) {
    if (!this.workers.has(worker)) return [];
    return (ids as bigint[]).flatMap((id, place): Row[] => {
      const token = (tokens as string[])[place];
      const held = this.running.get(id);
      if (held) return [{ id, token, is_held: held.token === token }];
      return this.jobs.has(id) ? [{ id, token, is_held: false }] : [];
    });
  },

  "settle-and-claim-jobs": function (values, session) {
    // Both see the tables as they were: keys that come free by what is settled are claimed the next time.
    const [, , , , , , , ids, tokens] = values;
    const held = new Set<bigint>();
    const rows = claim.call(this, values, session, () => {
      const settled = this.complete(claimsIn(ids, tokens));
      for (const { job } of settled) held.add(job.id);
      return settled;
    });
    const refused = idsIn(ids).filter((id) => !held.has(id));
    return [...rows, ...refused.map((id) => ({ kind: "refused", id }))];
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
    const settled = this.complete(claimsIn(ids, tokens));
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

  "open-notify-gate": function ([queue], { marks }) {
    marks.set(queue, (marks.get(queue) ?? 0) + 1);
    return [{ writers: [...this.writers] }];
  },

  "close-notify-gate": function ([queue], { marks }) {
    const count = marks.get(queue) ?? 0;
    marks.set(queue, Math.max(count - 1, 0));
    return [{ was_open: count > 0 }];
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

/** Ready jobs that a claim may take, the most urgent first, whether their keys run or not. */
function claimable(tables: Tables, [queue, , worker, , types, leastPriority, afterId]: Values): Job[] {
  if (!tables.isAlive(worker)) return [];
  return tables.waiting(({ queue: own, state, type, priority, id }) => {
    const isAfter = priority >= (leastPriority as number) && id > (afterId as bigint);
    return own === queue && state === "ready" && isAfter && (types as string[]).includes(type);
  });
}

function claim(this: Tables, values: Values, _session: Session, settle?: () => Running[]): Row[] {
  const [queue, limit, worker, token] = values;
  const keyOf = ({ job }: Running) => (job.queue === queue && job.key !== undefined ? [job.key] : []);
  const runningKeys = new Set([...this.running.values()].flatMap(keyOf));
  const isBlocked = ({ key }: Job) => key !== undefined && runningKeys.has(key);
  const ready = this.waiting((job) => job.queue === queue && job.state === "ready");
  const blocked = new Set(ready.filter(isBlocked).map(({ key }) => key));
  const next = claimable(this, values)
    .filter((job) => !isBlocked(job))
    .slice(0, limit as number);

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
    const row = { kind: "job", id, type, payload: {}, priority, attempt, key };
    rows.push({ ...row, max_attempts: maxAttempts, crash_count: crashCount });
  }
  if (settled) this.handOn(settled);
  for (const key of blocked) rows.push({ kind: "blocked", key });
  return rows;
}

function isOrphan(tables: Tables, { worker }: Running): boolean {
  const row = tables.workers.get(worker);
  return row === undefined || row.deadAt !== undefined;
}

const partsOf = (literal: string) => (literal === "{}" ? [] : literal.slice(1, -1).split(","));

const idsIn = (literal: string) => partsOf(literal).map(BigInt);

function claimsIn(ids: string, tokens: string): Claim[] {
  const inOrder = partsOf(tokens);
  return idsIn(ids).map((id, place) => ({ id, token: inOrder[place]! }));
}
