import { and, count, eq, inArray, isNotNull, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import { type Database, listDeadJobs } from "pg-hark";
import { schema } from "pg-hark/schema";
import { books, pages } from "../schema.ts";

const { attempts, deadJobs, finishedJobs } = schema;

export interface Summary {
  pages: number;
  books: number;
  jobs: number;
  attempts: number;
  retries: number;
  seconds: number;
  jobsPerSecond: number;
  /** From when a job could start to when its handler did, first attempts and retries alike, in ms. */
  latencyMs: { p50: number; p99: number };
  deadLetters: { url: string; reason: string; attempts: number; error: string }[];
}

/** Counts what a crawl did from Hark's own tables. */
export async function summarise(
  db: Database,
  { crawlId, seconds }: { crawlId: number; seconds: number },
): Promise<Summary> {
  const orm = drizzle(db.pool);
  const one = async <Row>(query: Promise<Row[]>): Promise<Row> => (await query)[0]!;
  const stored = await one(orm.select({ count: count() }).from(pages).where(eq(pages.crawlId, crawlId)));
  const found = await one(orm.select({ count: count() }).from(books).where(eq(books.crawlId, crawlId)));
  const finished = await one(
    orm
      .select({
        count: count(),
        attempts: sql<number>`coalesce(sum(${finishedJobs.attempt}), 0)::int`,
        p50: percentile(0.5),
        p99: percentile(0.99),
      })
      .from(finishedJobs)
      .where(eq(finishedJobs.state, "completed")),
  );
  const dead = await one(
    orm.select({ count: count(), attempts: sql<number>`coalesce(sum(${deadJobs.attempt}), 0)::int` }).from(deadJobs),
  );
  const retried = await one(
    orm
      .select({ count: count() })
      .from(attempts)
      .where(
        and(isNotNull(attempts.retryAt), inArray(attempts.ending, ["error", "retry_after", "timeout", "crashed"])),
      ),
  );
  const jobs = finished.count + dead.count;
  return {
    pages: stored.count,
    books: found.count,
    jobs,
    attempts: finished.attempts + dead.attempts,
    retries: retried.count,
    seconds,
    jobsPerSecond: jobs / seconds,
    latencyMs: { p50: finished.p50, p99: finished.p99 },
    deadLetters: (await listDeadJobs(db, { limit: 200 })).map(({ payload, reason, attempt, error }) => ({
      url: (payload as { target_url: string }).target_url,
      reason,
      attempts: attempt,
      error: error.split("\n", 1)[0]!,
    })),
  };
}

function percentile(share: number) {
  const waited = sql`extract(epoch from ${finishedJobs.startedAt} - ${finishedJobs.runAt}) * 1000`;
  return sql<number>`coalesce(percentile_cont(${share}::float8) within group (order by ${waited}), 0)::float8`;
}

/** The summary as lines to read. */
export function summaryLines(summary: Summary): string[] {
  const { p50, p99 } = summary.latencyMs;
  const row = (name: string, value: string | number) => `  ${name.padEnd(14)}${value}`;
  return [
    "Summary",
    row("pages", summary.pages),
    row("books", summary.books),
    row("jobs", summary.jobs),
    row("attempts", summary.attempts),
    row("retries", summary.retries),
    row("dead letters", summary.deadLetters.length),
    ...summary.deadLetters.map(
      ({ url, reason, attempts: tried, error }) => `    ${url}  ${reason} after ${tried}: ${error}`,
    ),
    row("time", `${summary.seconds.toFixed(1)} s`),
    row("rate", `${summary.jobsPerSecond.toFixed(0)} jobs/s`),
    row(
      "start latency",
      `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms (ready to started, all slots busy included)`,
    ),
  ];
}
