import type { Backoff } from "@hark/core";
import { crashBudget, decideOutcome, type Ending, statements } from "@hark/core/internal";
import { expect } from "vitest";
import { test } from "../../support/fixtures.ts";
import { claim, registerWorker } from "../../support/jobs.ts";
import { pick, type Random, randomFrom, seedOfRun } from "../../support/random.ts";

const total = 10_000;
const batch = 500;

const backoff: Backoff = { baseMs: 1_000, factor: 2, capMs: 3_600_000, jitter: 0.1 };

/**
 * What the table of outcomes in the design says, in its own words, so that code and table are
 * compared.
 */
interface Row {
  table: "finished_jobs" | "jobs" | "dead_jobs";
  state: string;
  attempt: number;
  crashCount: number;
  /** Least and longest wait, in ms. */
  delay?: [number, number];
  reason?: string;
  /** Of the ledger's line; undefined if there shall be none. */
  ending: string | undefined;
}

interface Tried {
  job: statements.ClaimedJob;
  ending: Ending;
  wanted: Row;
}

test(
  `${total} random endings land in the states, with the attempts, delays and lines, that the table of outcomes says`,
  { tags: ["FM-27", "FM-32", "FM-36", "KEPT-3"] },
  async ({ db, queue }) => {
    const seed = seedOfRun();
    const random = randomFrom(seed);
    await db.pool.query(
      `insert into hark.jobs (queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key, run_at, created_at, state)
     select $1, 'test.plain', '{}', 0, tried, greatest(most, tried + 1), crashes, case when n % 5 = 0 then 'key ' || n end,
            case when n % 7 = 0 then 'unique ' || n end, clock_timestamp(), clock_timestamp(), 'ready'
       from (select n, (n * 7919) % 4 as tried, 1 + (n * 104729) % 5 as most, (n * 31) % 3 as crashes
               from generate_series(1, $2::int) n) numbers`,
      [queue, total],
    );
    await db.pool.query(
      `insert into hark.unique_keys select queue, unique_key, id from hark.jobs where queue = $1 and unique_key is not null`,
      [queue],
    );

    const tried: Tried[] = [];
    while (tried.length < total) {
      const worker = await registerWorker(db);
      const mortal = await registerWorker(db); // holds what is going to crash
      const jobs = await claim(db, { queue, worker, limit: batch });
      expect(jobs).toHaveLength(batch);
      const ended = jobs.map((job) => {
        const ending = anyEnding(random);
        return { job, ending, wanted: wantedFor(job, ending) };
      });
      await writeDown(ended, random);
      tried.push(...ended);

      async function writeDown(endings: Tried[], jitter: Random): Promise<void> {
        const completed: Parameters<typeof statements.completionsOf>[0][number][] = [];
        const retried: statements.RetriedJob[] = [];
        const buried: statements.BuriedJob[] = [];
        const crashed: bigint[] = [];
        for (const { job, ending } of endings) {
          const claimed = { id: job.id, token: job.token };
          if (ending.kind === "crashed") {
            crashed.push(job.id);
            continue;
          }
          const outcome = decideOutcome(job, ending, backoff, jitter);
          if (outcome.state === "completed") completed.push({ ...claimed, ...outcome });
          else if (outcome.state === "scheduled") retried.push({ ...claimed, ...outcome });
          else if (outcome.state === "dead") buried.push({ ...claimed, ...outcome });
          else expect(await statements.cancelJob(db, { id: job.id })).toEqual([{ wasIn: "running" }]);
        }
        const settled = await Promise.all([
          statements.completeJobs(db, statements.completionsOf(completed)),
          statements.retryJobs(db, statements.retriedOf(retried)),
          statements.buryJobs(db, statements.buriedOf(buried)),
        ]);
        expect(settled.map((rows) => rows.length)).toEqual([completed.length, retried.length, buried.length]);
        await db.pool.query("update hark.running_jobs set worker = $1, begun = true where id = any ($2::bigint[])", [
          mortal,
          crashed,
        ]);
        await statements.leaveWorkers(db, { id: mortal });
        const [rescue] = await statements.rescueJobs(db, { limit: batch });
        expect(rescue).toEqual({ rescued: crashed.length });
        // What is due again shall not be claimed again here.
        await db.pool.query("update hark.jobs set queue = $1 where queue = $2 and id = any ($3::bigint[])", [
          `${queue}.again`,
          queue,
          endings.map(({ job }) => job.id),
        ]);
      }
    }

    const found = await whereTheyStand();
    const wrong = tried.filter(({ job, wanted }) => !matches(found.get(job.id) ?? [], wanted, job));
    const kinds = new Set(tried.map(({ ending }) => ending.kind));

    expect(
      wrong.slice(0, 3).map(({ job, ending, wanted }) => ({ job, ending, wanted, found: found.get(job.id) })),
      `seed ${seed}`,
    ).toEqual([]);
    expect([...kinds].toSorted(), `seed ${seed}`).toEqual(kindsOfEnding.toSorted());
    expect((await db.pool.query("select from hark.running_jobs where queue like $1 || '%'", [queue])).rowCount).toBe(0);

    async function whereTheyStand() {
      const { rows } = await db.pool.query<Found>(
        `with stands as (
         select 'jobs' as "table", id, state, attempt, crash_count, null as reason, run_at, unique_key from hark.jobs
         union all select 'dead_jobs', id, 'dead', attempt, crash_count, reason, null, unique_key from hark.dead_jobs
         union all select 'finished_jobs', id, state, attempt, crash_count, null, null, unique_key from hark.finished_jobs)
       select stands.*, line.ending, line.attempt as tried, line.token,
              extract(epoch from line.retry_at - line.finished_at)::float8 * 1000 as "delayMs",
              stands.unique_key is not null as "isUnique",
              exists (select from hark.unique_keys held where held.job_id = stands.id) as "holdsKey"
         from stands left join hark.attempts line on line.job_id = stands.id
        where stands.id = any ($1::bigint[])`,
        [tried.map(({ job }) => job.id)],
      );
      return Map.groupBy(rows, ({ id }) => id);
    }
  },
);

interface Found {
  table: string;
  id: bigint;
  state: string;
  attempt: number;
  crash_count: number;
  reason: string | null;
  ending: string | null;
  tried: number | null;
  token: string | null;
  delayMs: number | null;
  isUnique: boolean;
  holdsKey: boolean;
}

const kindsOfEnding = [
  "completed",
  "error",
  "retry_after",
  "fatal",
  "timeout",
  "cancelled",
  "snoozed",
  "interrupted",
  "crashed",
] as const;

function anyEnding(random: Random): Ending {
  const kind = pick(random, kindsOfEnding);
  const error = new Error(pick(random, ["plain", "with 'quotes' and \\ and $1", "\0 and \ud800", "ü".repeat(9_000)]));
  const delayMs = pick(random, [0, 1, 999, 3_600_000, 86_400_000]);
  switch (kind) {
    case "completed":
      return { kind, resultJson: pick(random, [null, "{}", '"text"', "[1,2]"]) };
    case "error":
    case "timeout":
      return { kind, error };
    case "retry_after":
      return { kind, error, delayMs };
    case "fatal":
      return { kind, error, reason: pick(random, ["unrecoverable", "invalid_payload"] as const) };
    case "snoozed":
      return { kind, delayMs };
    case "cancelled":
    case "interrupted":
    case "crashed":
      return { kind };
    default:
      return kind satisfies never;
  }
}

function wantedFor({ attempt, maxAttempts, crashCount }: statements.ClaimedJob, ending: Ending): Row {
  const kept = { attempt, crashCount };
  const isLast = attempt === maxAttempts;
  switch (ending.kind) {
    case "completed":
      return { ...kept, table: "finished_jobs", state: "completed", ending: attempt > 1 ? "completed" : undefined };
    case "cancelled":
      return { ...kept, table: "finished_jobs", state: "cancelled", ending: "cancelled" };
    case "fatal":
      return { ...kept, table: "dead_jobs", state: "dead", reason: ending.reason, ending: "fatal" };
    case "snoozed":
      return { ...waiting(ending.delayMs, ending.delayMs), attempt: attempt - 1, crashCount, ending: "snoozed" };
    case "interrupted":
      return { ...waiting(0, 0), attempt: attempt - 1, crashCount, ending: "interrupted" };
    case "crashed":
      return isLast || crashCount + 1 >= crashBudget
        ? {
            attempt,
            crashCount: crashCount + 1,
            table: "dead_jobs",
            state: "dead",
            reason: "worker_died",
            ending: "crashed",
          }
        : { ...waiting(0, 0), attempt, crashCount: crashCount + 1, ending: "crashed" };
    case "error":
    case "timeout":
    case "retry_after": {
      const { kind } = ending;
      if (isLast) return { ...kept, table: "dead_jobs", state: "dead", reason: "attempts_exhausted", ending: kind };
      if (kind === "retry_after") return { ...waiting(ending.delayMs, ending.delayMs), ...kept, ending: kind };
      const middle = 1_000 * 2 ** (attempt - 1);
      return { ...waiting(middle * 0.9, middle * 1.1), ...kept, ending: kind };
    }
    default:
      return ending satisfies never;
  }
}

function waiting(least: number, most: number): Pick<Row, "table" | "state" | "delay"> {
  return { table: "jobs", state: most > 0 ? "scheduled" : "ready", delay: [least, most] };
}

function matches(found: Found[], wanted: Row, job: statements.ClaimedJob): boolean {
  const [only] = found;
  if (!only || found.length > 1) return false; // in one table, with at most one line
  const isFinal = wanted.table !== "jobs";
  return (
    only.table === wanted.table &&
    only.state === wanted.state &&
    only.attempt === wanted.attempt &&
    only.crash_count === wanted.crashCount &&
    only.reason === (wanted.reason ?? null) &&
    only.ending === (wanted.ending ?? null) &&
    (wanted.ending === undefined || (only.tried === job.attempt && only.token === job.token)) &&
    only.holdsKey === (only.isUnique && !isFinal) &&
    isWithin(only.delayMs, wanted.delay)
  );
}

/** The line is written up to a batch's time after the delay was counted from. */
function isWithin(delayMs: number | null, wanted: [number, number] | undefined): boolean {
  if (!wanted) return delayMs === null;
  return delayMs !== null && delayMs <= wanted[1] + 1 && delayMs >= wanted[0] - 5_000;
}
