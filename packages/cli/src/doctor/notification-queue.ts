import { statements } from "@hark/core";
import { type Check, fail, ok, warn } from "./check.ts";

/**
 * Shares of the server's notification queue. A full one fails every commit that notifies, so every
 * enqueue (FM-10).
 */
const much = 0.01;
const tooMuch = 0.5;

export const notificationQueueCheck: Check = {
  name: "notification queue",
  needs: "connection",
  async run({ db }) {
    const { usage } = (await statements.notificationQueueUsage(db, {}))[0]!;
    const message = `${(usage * 100).toFixed(usage < 0.01 && usage > 0 ? 4 : 0)} % full`;
    if (usage < much) return ok(message, { usage });
    const advice =
      'A session that listens holds a transaction open: end it (see "transactions"). When the queue is full, enqueueing fails.';
    return usage < tooMuch ? warn(message, advice, { usage }) : fail(message, advice, { usage });
  },
};
