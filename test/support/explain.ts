import type { Database } from "@hark/core";
import type { Ledger, LedgerEntry } from "./ledger.ts";

/** A time range in which the server crashed, by monotonicUs(). */
export interface Crash {
  from: number;
  to: number;
}

/**
 * PostgreSQL flushes an asynchronous commit within three times its wal_writer_delay, which is 600
 * ms. In us, with some margin.
 */
const unflushedUs = 1_000_000;

/**
 * Returns whether a crash may have undone the claim that a run began under. Only claims of jobs
 * without a key do not wait for the disk, and the next run is the same attempt, since the database
 * never counted it.
 */
const mayBeUndone = (crashes: readonly Crash[], { at, key, attempt }: LedgerEntry, next: LedgerEntry) =>
  key === undefined && next.attempt === attempt && crashes.some(({ from, to }) => at >= from - unflushedUs && at <= to);

/**
 * Returns descriptions of second starts of one job that have no reason. A second start is explained
 * if the attempt before it has an ending other than "completed" in the table hark.attempts, or if a
 * crash of the server undid its claim (docs/decisions/0024): then the database has no record of it.
 */
export async function unexplainedStarts(
  { pool }: Database,
  ledger: Ledger,
  { crashes = [] }: { crashes?: readonly Crash[] } = {},
): Promise<string[]> {
  const { rows } = await pool.query<{ attempt: string; ending: string }>(
    "select job_id || ' ' || token as attempt, ending from hark.attempts where token is not null", // jobs of one claim share its token
  );
  const endings = new Map(rows.map(({ attempt, ending }) => [attempt, ending]));
  const starts = Map.groupBy(ledger.of("started"), ({ id }) => id);
  const unexplained: string[] = [];
  for (const [id, entries] of starts) {
    for (const [place, entry] of entries.entries()) {
      const ending = endings.get(`${id} ${entry.token}`) ?? "completed";
      const next = entries[place + 1];
      if (next && ending === "completed" && !mayBeUndone(crashes, entry, next)) {
        unexplained.push(`job ${id} started ${entries.length} times, though ${entry.token} has no other ending`);
      }
    }
  }
  return unexplained;
}

/**
 * Returns descriptions of those jobs, of the given ids, that are in no table of the queue or in
 * several. There must be none.
 */
export async function lostOrDoubled({ pool }: Database, ids: readonly bigint[]): Promise<string[]> {
  const { rows } = await pool.query<{ id: bigint; places: string }>(
    `select wanted.id, count(stands.id) as places
       from unnest($1::bigint[]) wanted (id) left join (
         select id from hark.jobs union all select id from hark.running_jobs
         union all select id from hark.finished_jobs union all select id from hark.dead_jobs) stands using (id)
      group by wanted.id having count(stands.id) <> 1`,
    [ids],
  );
  return rows.map(({ id, places }) => `job ${id} stands in ${places} tables`);
}
