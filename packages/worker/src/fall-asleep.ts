import type { Gate } from "./gate.ts";
import { sleep } from "./runtime/sleep.ts";

/** Rests between two looks at the writers, in ms: about a short commit at first; the last is what a long one's job may wait. */
const quiesce = { firstMs: 2, factor: 1.5, lastMs: 25 };

/**
 * Goes to sleep on a queue without missing a wake-up. Call it with the listener "listening", before every sleep, also while the
 * queue is still armed. `look` claims what is ready, and answers whether it found any; only a claim of the whole queue, for at
 * least one job, is a look.
 *
 * Answers true if the queue is armed and empty, and whatever comes later notifies: sleep. Answers false if there is reason to
 * look again first: something was found, `rung` rang, or `signal` was aborted. The mark may stand then; who finds work takes it
 * away. Throws what `look` throws, and when the gate cannot be armed: then only the poll finds jobs.
 */
export async function fallAsleep(
  gate: Gate,
  queue: string,
  look: () => Promise<boolean>,
  { rung, signal }: { rung: Promise<void>; signal?: AbortSignal },
): Promise<boolean> {
  let isInterrupted = false;
  void rung.then(() => (isInterrupted = true));
  let writers = await gate.arm(queue);
  if (await look()) return false;

  for (let restMs = quiesce.firstMs; writers.length > 0; restMs = Math.min(restMs * quiesce.factor, quiesce.lastMs)) {
    await sleep(restMs, { until: rung, ...(signal && { signal }) });
    if (isInterrupted || signal?.aborted) return false;
    const open = await gate.stillOpen(writers); // first this, then the look: what the others wrote is visible from here on
    if (open.length < writers.length && (await look())) return false;
    writers = open;
  }
  return gate.isArmed(queue);
}
