import { statements } from "@hark/core/internal";
import { type Check, fail, ok, warn } from "./check.ts";

/**
 * Used shares of the server's notification queue. When it is full, every commit that notifies
 * fails, so every enqueue (FM-10).
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
      'A session that listens keeps a transaction open. End it (see "transactions"). When the queue is full, enqueueing fails.';
    return usage < tooMuch ? warn(message, advice, { usage }) : fail(message, advice, { usage });
  },
};
