import type pg from "pg";

/** A job at the end. Times are in ms by the database's clock. */
export interface FinalJob {
  id: string;
  table: "jobs" | "running_jobs" | "finished_jobs" | "dead_jobs";
  state: string;
  queue: string;
  type: string;
  ref: string | null;
  key: string | null;
  uniqueKey: string | null;
  attempt: number;
  maxAttempts: number;
  crashCount: number;
  createdAt: number;
  runAt: number;
  startedAt: number | null;
  finishedAt: number | null;
  worker: string | null;
  /**
   * For a running job: the token of its claim. For a completed job: what its handler returned,
   * which is the token of its claim.
   */
  token: string | null;
  reason: string | null;
}

/** A row of hark.attempts. */
export interface FinalAttempt {
  id: string;
  attempt: number;
  ending: string;
  worker: string | null;
  token: string | null;
  startedAt: number | null;
  finishedAt: number;
  retryAt: number | null;
}

export interface FinalWorker {
  id: string;
  pid: number;
  startedAt: number;
  expiresAt: number;
  deadAt: number | null;
}

/** Everything in the database when the campaign is over, and the errors of its server. */
export interface FinalState {
  jobs: FinalJob[];
  attempts: FinalAttempt[];
  workers: FinalWorker[];
  /**
   * The application's rows: written with an enqueue, with a completion, and under a lock (in order
   * of their commits).
   */
  orders: string[];
  effects: { id: string; token: string }[];
  shelf: { key: string; fence: string }[];
  stats: { completed: number; cancelled: number; dead: number };
  /** Sessions that are idle in a transaction, or wait for a lock, for seconds. */
  stuckSessions: string[];
  /** Errors in the server's log that no fault explains: deadlocks and broken constraints. */
  serverErrors: string[];
}

const ms = (column: string) => `extract(epoch from ${column})::float8 * 1000`;

const job = (table: string, more: Record<"state" | "started" | "finished" | "worker" | "token" | "reason", string>) => `
  select id::text, '${table}' as "table", ${more.state} as state, queue, type,
         coalesce(payload ->> 'ref', payload #>> '{metadata,ref}') as ref, key, unique_key as "uniqueKey",
         attempt::int, max_attempts::int as "maxAttempts", crash_count::int as "crashCount",
         ${ms("created_at")} as "createdAt", ${ms("run_at")} as "runAt",
         ${ms(more.started)} as "startedAt", ${ms(more.finished)} as "finishedAt",
         ${more.worker}::text as worker, ${more.token}::text as token, ${more.reason} as reason
    from hark.${table}`;

const never = "null::timestamptz";

const jobs = [
  job("jobs", { state: "state", started: never, finished: never, worker: "null", token: "null", reason: "null" }),
  job("running_jobs", {
    state: "'running'",
    started: "started_at",
    finished: never,
    worker: "worker",
    token: "token",
    reason: "null",
  }),
  job("finished_jobs", {
    state: "state",
    started: "started_at",
    finished: "finished_at",
    worker: "worker",
    token: "(result ->> 'token')",
    reason: "null",
  }),
  job("dead_jobs", {
    state: "'dead'",
    started: "started_at",
    finished: "finished_at",
    worker: "null",
    token: "null",
    reason: "reason",
  }),
].join(" union all ");

/** The tables of the campaign's application, beside Hark's. */
export const applicationTables = `
  create table if not exists orders (ref text not null);
  create table if not exists effects (id bigint not null, token uuid not null);
  create table if not exists shelf (number bigint generated always as identity, key text not null, fence bigint not null)`;

/**
 * Reads the database in one snapshot. Otherwise a job that moves meanwhile could be in two tables,
 * or in none.
 */
export async function readFinalState(pool: pg.Pool): Promise<Omit<FinalState, "serverErrors">> {
  const client = await pool.connect();
  try {
    await client.query("begin isolation level repeatable read read only");
    return await readIt(client);
  } finally {
    client.release(true); // closes the connection and its transaction
  }
}

async function readIt(client: pg.PoolClient): Promise<Omit<FinalState, "serverErrors">> {
  const rows = async <Row extends pg.QueryResultRow>(text: string) => (await client.query<Row>(text)).rows;
  return {
    jobs: await rows<FinalJob>(jobs),
    attempts: await rows<FinalAttempt>(`
      select job_id::text as id, attempt::int, ending, worker::text, token::text, ${ms("started_at")} as "startedAt",
             ${ms("finished_at")} as "finishedAt", ${ms("retry_at")} as "retryAt" from hark.attempts`),
    workers: await rows<FinalWorker>(`
      select id::text, pid, ${ms("started_at")} as "startedAt", ${ms("expires_at")} as "expiresAt",
             ${ms("dead_at")} as "deadAt" from hark.workers`),
    orders: (await rows<{ ref: string }>("select ref from orders")).map(({ ref }) => ref),
    effects: await rows("select id::text, token::text from effects"),
    shelf: await rows("select key, fence::text from shelf order by number"),
    stats: (
      await rows<FinalState["stats"]>(`
        select coalesce(sum(completed), 0)::int as completed, coalesce(sum(cancelled), 0)::int as cancelled,
               coalesce(sum(dead), 0)::int as dead from hark.stats`)
    )[0]!,
    stuckSessions: (
      await rows<{ session: string }>(`
        select format('%s (%s): %s', application_name, state, left(query, 80)) as session from pg_stat_activity
         where backend_type = 'client backend' and pid <> pg_backend_pid()
           and (state like 'idle in transaction%' and state_change < clock_timestamp() - interval '10 s'
             or wait_event_type = 'Lock' and query_start < clock_timestamp() - interval '5 s')`)
    ).map(({ session }) => session),
  };
}

/** Lines of a server's log about a deadlock or a violated constraint. There must be none. */
export function serverErrorsOf(log: string): string[] {
  return log
    .split("\n")
    .filter((line) => /ERROR: .*(deadlock detected|duplicate key|violates (check|not-null|unique))|PANIC:/.test(line));
}
