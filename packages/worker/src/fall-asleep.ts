import { jitter } from "@hark/core";
import type { Gate } from "./gate.ts";
import { sleep } from "./runtime/sleep.ts";

/**
 * Rest between two looks at the writers: this share of the time they have been waited for, so that a job starts that much later at
 * most than its transaction allowed, and within bounds in ms: about a short commit, and four looks a second for a very long one.
 */
const quiesce = { share: 1 / 8, leastMs: 2, mostMs: 250 };

/**
 * Goes to sleep on a queue without missing a wake-up. Call it with the listener "listening", whenever the queue was not armed and
 * quiet before. `isAnyReady` must see ready jobs that others hold locked too: a claim that is not committed may be undone, and
 * nothing announces what comes back by that.
 *
 * Answers true if the queue is armed and empty, and whatever comes later notifies: sleep. Answers false if there is reason to
 * look again first: something is ready, though another may have it in hand, `rung` rang, or `signal` was aborted. The mark may
 * stand then. Throws what `isAnyReady` throws, and when the gate cannot be armed: then only the poll finds jobs.
 */
export async function fallAsleep(
  gate: Gate,
  queue: string,
  isAnyReady: () => Promise<boolean>,
  { rung, signal }: { rung: Promise<void>; signal?: AbortSignal },
): Promise<boolean> {
  let isInterrupted = false;
  void rung.then(() => (isInterrupted = true));
  let writers = await gate.arm(queue);
  if (await isAnyReady()) return false;

  while (writers.length > 0) {
    const restMs = Math.min(Math.max(gate.armedForMs(queue) * quiesce.share, quiesce.leastMs), quiesce.mostMs);
    await sleep(jitter(restMs), { until: rung, ...(signal && { signal }) });
    if (isInterrupted || signal?.aborted) return false;
    const open = await gate.stillOpen(writers); // first this, then the look: what the others wrote is visible from here on
    if (open.length < writers.length && (await isAnyReady())) return false;
    writers = open;
  }
  return gate.isArmed(queue);
}
