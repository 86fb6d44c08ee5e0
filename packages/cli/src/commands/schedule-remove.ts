import { removeSchedule } from "@hark/core";
import { command } from "../command.ts";
import { findConnection, withDatabase } from "../connection.ts";
import { exitCodes } from "../exit-codes.ts";

export const scheduleRemoveCommand = command({
  examples: ["hark schedule remove weekly-digest", "hark schedule remove weekly-digest --json"],
  usage: "<name>",
  about: `Removes a schedule. Its jobs stay. Take it out of createWorker({ schedules }) first, because a worker that declares it adds it
again when it starts. Exits with 1 if there is no such schedule.`,
  words: { least: 1, most: 1 },
  flags: {},
  async run({ values, words: [name = ""], output }) {
    const isRemoved = await withDatabase(await findConnection(values), (db) => removeSchedule(db, name));
    if (isRemoved) output.line(name);
    else output.note(`there is no schedule ${name}`);
    output.document({ removed: isRemoved ? [name] : [] });
    return isRemoved ? exitCodes.ok : exitCodes.finding;
  },
});
