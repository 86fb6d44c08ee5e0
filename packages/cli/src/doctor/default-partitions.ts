import { type Check, ok, warn } from "./check.ts";

/** Rows counted: whether there are any is what matters. */
const mostRows = 10_000;

/** History that found no partition of its day: it is kept, but cannot be dropped with its day. */
export const defaultPartitionsCheck: Check = {
  name: "partitions",
  needs: "schema",
  async examine({ db }) {
    const { rows } = await db.query({
      text: `select (select count(*) from (select from hark.finished_jobs_default limit $1) taken)::int as finished,
                    (select count(*) from (select from hark.attempts_default limit $1) taken)::int as attempts`,
      values: [mostRows],
    });
    const { finished, attempts } = rows[0] as { finished: number; attempts: number };
    const facts = { finishedJobs: finished, attempts };
    if (finished + attempts === 0) return ok("every day has its own", facts);
    const count = (rowCount: number) => (rowCount === mostRows ? `${mostRows} or more` : String(rowCount));
    return warn(
      `the default partitions hold rows: ${count(finished)} finished jobs, ${count(attempts)} attempts`,
      "No worker made the partitions of those days in time. Keep one running: it makes the next days' ahead, and deletes these rows when they are old.",
      facts,
    );
  },
};
