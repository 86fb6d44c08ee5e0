import type { Database } from "@hark/core";
import type { Ledger, LedgerEntry } from "./ledger.ts";

/** When the server crashed, somewhere between two moments of monotonicUs(). */
export interface Crash {
  from: number;
  to: number;
}

/** PostgreSQL flushes what committed without waiting within three times its wal_writer_delay, which is 600 ms; in us, with some more. */
const unflushedUs = 1_000_000;

/**
 * Tells whether a crash may have undone the claim that a run began under: only those of jobs without a key do not wait for the disk, and
 * the next run is the same attempt, since the database never counted it.
 */
const mayBeUndone = (crashes: readonly Crash[], { at, key, attempt }: LedgerEntry, next: LedgerEntry) =>
  key === undefined && next.attempt === attempt && crashes.some(({ from, to }) => at >= from - unflushedUs && at <= to);

/**
 * Pairs of starts of one job without a reason between them. A second start is explained if the attempt before it has an
 * ending other than "completed" in the database's own ledger (reliability.md, section 5), or if a crash of the server undid its claim
 * (docs/decisions/0024): then the database knows nothing of it.
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

/** Jobs of a queue that stand in no table or in several, of the ids given: none may. */
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
