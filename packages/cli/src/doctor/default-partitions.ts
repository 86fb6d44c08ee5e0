import { doctor } from "@hark/core";
import { type Check, ok, warn } from "./check.ts";

/** Most rows counted. Whether there are any is what matters. */
const mostRows = 10_000;

/**
 * Finds history in the default partitions, because its day had no partition. It cannot be dropped
 * together with its day.
 */
export const defaultPartitionsCheck: Check = {
  name: "partitions",
  needs: "schema",
  async run({ db }) {
    const { finished, attempts } = await doctor.countStrayHistory(db, { upTo: mostRows });
    const facts = { finishedJobs: finished, attempts };
    if (finished + attempts === 0) return ok("every day has its own partition", facts);
    const count = (rowCount: number) => (rowCount === mostRows ? `${mostRows} or more` : String(rowCount));
    return warn(
      `the default partitions hold rows: ${count(finished)} finished jobs, ${count(attempts)} attempts`,
      "No worker made the partitions of those days in time. Keep a worker running: it makes partitions ahead of time, and deletes these rows when they are old.",
      facts,
    );
  },
};
