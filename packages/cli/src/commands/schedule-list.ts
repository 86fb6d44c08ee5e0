import { listSchedules } from "@hark/core";
import { command } from "../command.ts";
import { findConnection, withDatabase } from "../connection.ts";
import { exitCodes } from "../exit-codes.ts";

/**
 * A schedule late by more than this, in ms, is shown as late: no running worker declares it, or it
 * cannot enqueue its job.
 */
const lateMs = 60_000;

export const scheduleListCommand = command({
  examples: ["hark schedule list", "hark schedule list --json | jq '.schedules[].nextAt'"],
  usage: "",
  about:
    "Lists recurring schedules by name. A schedule is late if no running worker declares it, or if it cannot enqueue its job.",
  words: { least: 0, most: 0 },
  flags: {},
  async run({ values, output }) {
    const schedules = await withDatabase(await findConnection(values), listSchedules);
    if (schedules.length === 0) output.note("no schedules: createWorker({ schedules: [...] }) declares them");
    else {
      output.table(
        ["name", "rule", "zone", "type", "queue", "missed", "last", "next", "late"],
        schedules.map(({ name, cron, zone, everyMs, type, queue, missed, lastTickAt, nextAt, lateMs: byMs }) => [
          name,
          cron ?? `every ${everyMs} ms`,
          zone ?? "",
          type,
          queue,
          missed,
          lastTickAt?.toISOString() ?? "",
          nextAt?.toISOString() ?? "never",
          byMs > lateMs ? `${Math.round(byMs / 1_000)} s` : "",
        ]),
      );
    }
    output.document({ schedules });
    return exitCodes.ok;
  },
});
