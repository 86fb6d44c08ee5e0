import { doctor } from "@hark/core";
import { type Check, ok, spoken, warn } from "./check.ts";

/**
 * A job that is ready for this long, in ms, gives a warning. An idle worker claims a job within
 * milliseconds.
 */
const longMs = 30_000;

export const waitingTypesCheck: Check = {
  name: "waiting jobs",
  needs: "schema",
  async run({ db }) {
    const waiting = await doctor.listWaitingTypes(db, { olderThanMs: longMs });
    if (waiting.length === 0) return ok(`no job has been ready for more than ${longMs / 1_000} s`);
    const message = waiting
      .map(({ queue, type, jobs, waitingMs }) => `${jobs} of ${type} in ${queue} for up to ${spoken(waitingMs)}`)
      .join("; ");
    return warn(`ready but not claimed: ${message}`, [...new Set(waiting.map(adviceOn))].join(" "), {
      waiting: waiting.map((row) => ({ ...row, waitingMs: Math.round(row.waitingMs) })),
    });
  },
};

function adviceOn({ queue, type, isServed, isRunning }: doctor.WaitingType): string {
  if (!isServed) return `No live worker serves queue ${queue}: start one.`;
  if (isRunning) return `Workers of ${queue} are busy with ${type}: raise their concurrency, or start more.`;
  return `Workers of ${queue} have no handler for ${type}, or are busy with other types: add implement() for it, or start more.`;
}
