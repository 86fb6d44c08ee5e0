import { statements } from "@hark/core/internal";
import { command } from "../command.ts";
import { findConnection, withDatabase } from "../connection.ts";
import { exitCodes } from "../exit-codes.ts";
import { parseJobId } from "../job-id.ts";

/** Dead letters deleted in one statement, so that their rows are locked only for a moment. */
const batchSize = 200;

export const deadDeleteCommand = command({
  examples: ["hark dead delete 4711", "hark dead delete 4711 4712 --json"],
  usage: "<id...>",
  about: "Deletes dead letters for ever, and prints their ids. Exits with 1 if a dead letter was not found.",
  words: { least: 1, most: Number.POSITIVE_INFINITY },
  flags: {},
  async run({ values, words, output }) {
    const ids = [...new Set(words.map(parseJobId))];
    const found = new Set<bigint>();
    await withDatabase(await findConnection(values), async (db) => {
      for (let start = 0; start < ids.length; start += batchSize) {
        const batch = { ids: ids.slice(start, start + batchSize) };
        for (const { id } of await statements.deleteDeadJobs(db, batch)) found.add(id);
      }
    });
    const deleted = ids.filter((id) => found.has(id));
    const missing = ids.filter((id) => !found.has(id));
    for (const id of deleted) output.line(String(id));
    output.document({ deleted, missing });
    output.note(`deleted ${deleted.length}`);
    if (missing.length > 0) output.note(`not dead letters: ${missing.join(", ")}`);
    return missing.length > 0 ? exitCodes.finding : exitCodes.ok;
  },
});
