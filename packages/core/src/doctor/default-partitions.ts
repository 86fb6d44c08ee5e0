import type { Queryable } from "../database.ts";

/** Rows of history that found no partition of their day, each counted no further than `upTo`. */
export async function countStrayHistory(
  db: Queryable,
  { upTo }: { upTo: number },
): Promise<{ finished: number; attempts: number }> {
  const { rows } = await db.query({
    text: `select (select count(*) from (select from hark.finished_jobs_default limit $1) taken)::int as finished,
                  (select count(*) from (select from hark.attempts_default limit $1) taken)::int as attempts`,
    values: [upTo],
  });
  return rows[0] as { finished: number; attempts: number };
}
