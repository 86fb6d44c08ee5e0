import { jitter, orLate } from "@hark/core";
import type { NotifyGate } from "./notify-gate.ts";
import { sleep } from "../runtime/sleep.ts";

/**
 * Rest between two looks at the writers: this share of the time they have been waited for, so that a job starts that much later at
 * most than its transaction allowed, and within bounds in ms: about a short commit, and four looks a second for a very long one.
 */
const quiesce = { share: 1 / 8, leastMs: 2, mostMs: 250 };

/**
 * Whoever is rung waits so much longer for the gate, in ms: it answers in 1 to 5, or it is silent and may be waited for until its
 * deadline, while the job that rang could have run.
 */
const gateMs = 50;

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
  gate: NotifyGate,
  queue: string,
  isAnyReady: () => Promise<boolean>,
  { rung, signal }: { rung: Promise<void>; signal?: AbortSignal },
): Promise<boolean> {
  let isInterrupted = false;
  void rung.then(() => (isInterrupted = true));
  const answer = await unlessRung(gate.arm(queue), rung);
  if (answer === "rung" || (await isAnyReady())) return false;

  let writers = answer;
  while (writers.length > 0) {
    const restMs = Math.min(Math.max(gate.armedForMs(queue) * quiesce.share, quiesce.leastMs), quiesce.mostMs);
    await sleep(jitter(restMs), { until: rung, ...(signal && { signal }) });
    if (isInterrupted || signal?.aborted) return false;
    // First this, then the look: what the others wrote is visible from here on.
    const open = await unlessRung(gate.stillOpen(writers), rung);
    if (open === "rung") return false;
    if (open.length < writers.length && (await isAnyReady())) return false;
    writers = open;
  }
  return gate.isArmed(queue);
}

/** What `work` answers, or "rung" if that takes more than a moment from when it rang. */
function unlessRung<Answer>(work: Promise<Answer>, rung: Promise<void>): Promise<Answer | "rung"> {
  const patience = rung.then(() => orLate(work, gateMs));
  return Promise.race([work, patience.then((answer) => (answer === "late" ? "rung" : answer))]);
}
