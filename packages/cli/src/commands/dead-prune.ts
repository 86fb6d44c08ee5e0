import { InvalidOptionsError, pruneDeadJobs } from "@hark/core";
import { countPrunable, parseDuration } from "@hark/core/internal";
import { command } from "../command.ts";
import { findConnection, withDatabase } from "../connection.ts";
import { exitCodes } from "../exit-codes.ts";
import { UsageError } from "../usage-error.ts";

export const deadPruneCommand = command({
  examples: ["hark dead prune --older-than 30d", "hark dead prune --older-than 12h --type email.welcome --dry-run"],
  usage: "--older-than <duration>",
  about: "Deletes old dead letters for ever, and prints how many. --older-than 0s deletes all.",
  words: { least: 0, most: 0 },
  flags: {
    "older-than": { type: "string", value: "<duration>", help: "only jobs that died at least this long ago, as 30d" },
    type: { type: "string", value: "<type>", help: "only this job type" },
    "dry-run": { type: "boolean", help: "only print how many would be deleted" },
  },
  async run({ values, output }) {
    const isDry = values["dry-run"] === true;
    const options = { olderThan: ageOf(values["older-than"]), type: values.type };
    const count = await withDatabase(await findConnection(values), (db) =>
      isDry ? countPrunable(db, options) : pruneDeadJobs(db, options),
    );
    output.line(isDry ? `would delete ${count}; nothing was changed` : `deleted ${count}`);
    output.document({ dryRun: isDry, deleted: isDry ? 0 : count, found: count });
    return exitCodes.ok;
  },
});

/** In ms. */
function ageOf(text: string | undefined): number {
  if (text === undefined) throw new UsageError(`Say how old they must be, as in "--older-than 30d".`);
  try {
    return parseDuration("--older-than", text as "30d");
  } catch (error) {
    if (!(error instanceof InvalidOptionsError)) throw error;
    throw new UsageError(`--older-than ${text} is no duration. Write 30d, 12h, 15m or 0s.`);
  }
}
