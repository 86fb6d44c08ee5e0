import { doctor } from "@hark/core";
import { type Check, ok, warn } from "./check.ts";

/** Rows counted: whether there are any is what matters. */
const mostRows = 10_000;

/** History that found no partition of its day: it is kept, but cannot be dropped with its day. */
export const defaultPartitionsCheck: Check = {
  name: "partitions",
  needs: "schema",
  async run({ db }) {
    const { finished, attempts } = await doctor.countStrayHistory(db, { upTo: mostRows });
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
