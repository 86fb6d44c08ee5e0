import { defineJob } from "@hark/core";
import * as v from "valibot";

/** The job type that worker processes run. Its payload says what the handler does. */
export const taskPayload = v.object({
  /**
   * sleep: waits `ms`, or until its signal is aborted. ignore: waits `ms`, even if its signal is
   * aborted. block: blocks the event loop for `ms`. fail: throws on the first `times` attempts.
   * die: ends its process, as SIGKILL does. hold: waits `ms` on the first `times` attempts, and not
   * at all on later ones. float: returns at once, and leaves a promise that rejects after `ms`.
   * exhaust: fills the memory until the process's own limit ends it.
   */
  does: v.optional(
    v.picklist(["sleep", "ignore", "block", "fail", "die", "hold", "float", "exhaust", "hang"]),
    "sleep",
  ),
  ms: v.optional(v.number(), 0),
  times: v.optional(v.number(), 0),
});

/** The type has no queue: each test enqueues into its own. */
export const task = defineJob("test.task", {
  payload: taskPayload,
  retry: { attempts: 5, backoff: { base: 50, cap: 200 } },
});
