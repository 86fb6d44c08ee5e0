import { and, count, eq, inArray, isNotNull, sql } from "drizzle-orm";
import { drizzle, type NodePgDatabase } from "drizzle-orm/node-postgres";
import { type Database, listDeadJobs } from "pg-hark";
import { attempts, deadJobs, finishedJobs } from "pg-hark/schema";
import { books, pages } from "../schema.ts";
import { type Attempt, type Room, type Spread, spreadOf, waitsOf } from "./waits.ts";

export interface Summary {
  pages: number;
  books: number;
  jobs: number;
  attempts: number;
  retries: number;
  seconds: number;
  jobsPerSecond: number;
  /** From ready to started, in ms, of the attempts that found a free slot. */
  startLatency: Spread | undefined;
  /** The same for attempts that found all slots busy. */
  slotWait: Spread | undefined;
  /**
   * How long requests waited for their turn at the host, in ms. Their jobs keep their slots in that
   * time.
   */
  turnWait: Spread | undefined;
  deadLetters: { url: string; reason: string; attempts: number; error: string }[];
}

/** Counts the results of a crawl from Hark's own tables. */
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
  const turns = await orm.select({ waitMs: pages.turnWaitMs }).from(pages).where(eq(pages.crawlId, crawlId));
  const waits = waitsOf(await readAttempts(orm), await readRooms(orm));
  const jobs = finished.count + dead.count;
  return {
    pages: stored.count,
    books: found.count,
    jobs,
    attempts: finished.attempts + dead.attempts,
    retries: retried.count,
    seconds,
    jobsPerSecond: jobs / seconds,
    startLatency: spreadOf(waits.withFreeSlot),
    slotWait: spreadOf(waits.withoutFreeSlot),
    turnWait: spreadOf(turns.map(({ waitMs }) => waitMs)),
    deadLetters: (await listDeadJobs(db, { limit: 200 })).map(({ payload, reason, attempt, error }) => ({
      url: (payload as { target_url: string }).target_url,
      reason,
      attempts: attempt,
      error: error.split("\n", 1)[0]!,
    })),
  };
}

/**
 * Reads every attempt that was started: those in the table of attempts, and first successes, which
 * are not recorded there. An attempt that was claimed and handed back before its start
 * (`interrupted`) does not count.
 */
async function readAttempts(orm: NodePgDatabase): Promise<Attempt[]> {
  const { rows } = await orm.execute<{ ready: number; started: number; finished: number }>(sql`
    select extract(epoch from ready_at)::float8 * 1000 as ready, extract(epoch from started_at)::float8 * 1000 as started,
           extract(epoch from finished_at)::float8 * 1000 as finished
      from (
        select coalesce(lag(coalesce(tried.retry_at, tried.finished_at))
                          over (partition by tried.job_id order by tried.finished_at), job.created_at) as ready_at,
               tried.started_at, tried.finished_at
          from hark.attempts tried
          join (select id, created_at from hark.finished_jobs
                union all select id, created_at from hark.dead_jobs) job on job.id = tried.job_id
         where tried.ending <> 'interrupted' and tried.started_at is not null
        union all
        select created_at, started_at, finished_at from hark.finished_jobs where state = 'completed' and attempt = 1
      ) every_attempt`);
  return rows.map(({ ready, started, finished }) => ({ readyAt: ready, startedAt: started, finishedAt: finished }));
}

async function readRooms(orm: NodePgDatabase): Promise<Room[]> {
  const { rows } = await orm.execute<{ slots: number; started: number; died: number | null }>(sql`
    select (select coalesce(sum(value::int), 0)::int from jsonb_each_text(queues)) as slots,
           extract(epoch from started_at)::float8 * 1000 as started, extract(epoch from dead_at)::float8 * 1000 as died
      from hark.workers`);
  return rows.map(({ slots, started, died }) => ({
    slots,
    fromAt: started,
    untilAt: died ?? Number.POSITIVE_INFINITY,
  }));
}

/** The summary as lines of text. */
export function summaryLines(summary: Summary): string[] {
  const { startLatency, slotWait, turnWait } = summary;
  const row = (name: string, value: string | number) => `  ${name.padEnd(17)}${value}`;
  const spread = (name: string, of: Spread | undefined, what: string) =>
    row(
      name,
      of ? `p50 ${of.p50.toFixed(1)} ms, p99 ${of.p99.toFixed(1)} ms (${of.count} ${what})` : `none (0 ${what})`,
    );
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
    spread("start latency", startLatency, "starts that found a free slot"),
    spread("wait for a slot", slotWait, "starts that found every slot busy"),
    spread("wait for a turn", turnWait, "pages that kept their slot until their host could be asked again"),
  ];
}
