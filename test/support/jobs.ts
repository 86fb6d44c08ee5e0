import { randomUUID } from "node:crypto";
import { type Database, type Queryable, getJob, type JobDetails } from "@hark/core";
import { statements } from "@hark/core/internal";
import { eventually } from "./eventually.ts";

/**
 * Inserts a job as the producer does, with default values for what is not given. Returns its id.
 */
export async function insertJob(db: Queryable, job: Partial<statements.NewJob> & { queue: string }): Promise<bigint> {
  const [inserted] = await insertJobs(db, [job]);
  return inserted as bigint;
}

export async function insertJobs(
  db: Queryable,
  jobs: readonly (Partial<statements.NewJob> & { queue: string })[],
): Promise<bigint[]> {
  const filled = jobs.map((job) => ({
    type: "test.plain",
    payloadJson: "{}",
    priority: 0,
    maxAttempts: 3,
    key: undefined,
    uniqueKey: undefined,
    runAt: undefined,
    delayMs: undefined,
    ...job,
  }));
  const inserted = await statements.insertJobs(db, { jobs: statements.jobsJson(filled) });
  return inserted.map(({ id }) => id);
}

/** Registers a worker that does not run: an identity to claim under. */
export async function registerWorker(db: Queryable, { name = "test", leaseMs = 60_000 } = {}): Promise<string> {
  const id = randomUUID();
  await statements.registerWorker(db, { id, name, hostname: "test", pid: 0, queues: "{}", leaseMs });
  return id;
}

/** Claims jobs for a worker. Returns those that it got. */
export async function claim(
  db: Queryable,
  request: Partial<statements.ClaimRequest> & { queue: string; worker: string },
): Promise<statements.ClaimedJob[]> {
  const { jobs } = await statements.claimJobs(db, { limit: 1, token: randomUUID(), types: ["test.plain"], ...request });
  return jobs;
}

/** The outcome "completed" for claimed jobs, to be settled. */
export function completed(...jobs: readonly statements.Claim[]): statements.Completions {
  return statements.completionsOf(jobs.map(({ id, token }) => ({ id, token, resultJson: null })));
}

/** Waits until a job is in a state. Returns the whole job. */
export async function untilState(
  db: Database,
  id: bigint,
  state: JobDetails["state"],
  { withinMs = 30_000 } = {},
): Promise<JobDetails> {
  let last: JobDetails | undefined;
  const look = async () => {
    last = await getJob(db, id);
    return last?.state === state ? last : undefined;
  };
  return eventually(look, { withinMs, what: `job ${id} being ${state}`, everyMs: 10 }).catch((cause: unknown) => {
    throw new Error(`job ${id} was to be ${state} within ${withinMs} ms, but is ${last?.state ?? "nowhere"}`, {
      cause,
    });
  });
}

/** How many jobs of a queue are in each table. A job must be in exactly one. */
export async function countJobs({ pool }: Database, queue: string): Promise<Record<string, number>> {
  const { rows } = await pool.query<{ state: string; count: string }>(
    `select state, count(*) from (
       select state from hark.jobs where queue = $1
       union all select 'running' from hark.running_jobs where queue = $1
       union all select state from hark.finished_jobs where queue = $1
       union all select 'dead' from hark.dead_jobs where queue = $1) jobs
      group by state`,
    [queue],
  );
  return Object.fromEntries(rows.map(({ state, count }) => [state, Number(count)]));
}
