import { type Database, listDeadJobs } from "@hark/core";
import { firstLine } from "@hark/core/internal";
import { command } from "../command.ts";
import { findConnection, isDenied, withDatabase } from "../connection.ts";
import { exitCodes } from "../exit-codes.ts";
import { integerFlag } from "../integer-flag.ts";

export const deadListCommand = command({
  examples: ["hark dead list --limit 10", "hark dead list --type email.welcome --json"],
  usage: "",
  about: `Lists dead letters, oldest first. --json includes the full error, and the payload if the login may read it.`,
  words: { least: 0, most: 0 },
  flags: {
    limit: { type: "string", value: "<n>", help: "how many to list, 1 to 200; default 100" },
    type: { type: "string", value: "<type>", help: "only this job type" },
  },
  async run({ values, output }) {
    const limit = integerFlag("limit", values.limit, { least: 1, most: 200 }) ?? 100;
    const { type } = values;
    const list = (db: Database, withPayload: boolean) =>
      listDeadJobs(db, { limit, withPayload, ...(type !== undefined && { type }) });
    const jobs = await withDatabase(await findConnection(values), async (db) => {
      if (!output.isJson) return list(db, false);
      return list(db, true).catch((error: unknown) => {
        if (!isDenied(error)) throw error;
        output.note("this login may not read payloads: they are null here");
        return list(db, false);
      });
    });
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
