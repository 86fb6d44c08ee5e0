import { listDeadJobs } from "@hark/core";
import { firstLine } from "@hark/core/internal";
import { command } from "../command.ts";
import { findConnection, withDatabase } from "../connection.ts";
import { exitCodes } from "../exit-codes.ts";
import { integerFlag } from "../integer-flag.ts";

export const deadListCommand = command({
  examples: ["hark dead list --limit 10", "hark dead list --type email.welcome --json"],
  usage: "",
  about: "Lists dead letters, oldest first. --json includes the payload and the full error.",
  words: { least: 0, most: 0 },
  flags: {
    limit: { type: "string", value: "<n>", help: "how many to list, 1 to 200; default 100" },
    type: { type: "string", value: "<type>", help: "only this job type" },
  },
  async run({ values, output }) {
    const limit = integerFlag("limit", values.limit, { least: 1, most: 200 }) ?? 100;
    const { type } = values;
    const jobs = await withDatabase(await findConnection(values), (db) =>
      listDeadJobs(db, { limit, ...(type !== undefined && { type }) }),
    );
    if (jobs.length === 0) output.note("no dead letters");
    else {
      output.table(
        ["id", "queue", "type", "attempts", "reason", "died", "error"],
        jobs.map(({ id, queue, type: jobType, attempt, maxAttempts, reason, finishedAt, error }) => [
          String(id),
          queue,
          jobType,
          `${attempt}/${maxAttempts}`,
          reason,
          finishedAt.toISOString(),
          firstLine(error),
        ]),
      );
    }
    output.document({ jobs });
    return exitCodes.ok;
  },
});
