import { jitter, orLate } from "@hark/core/internal";
import { sleep } from "../runtime/sleep.ts";
import type { NotifyGate, Writers } from "./notify-gate.ts";

/**
 * Rest between two looks at the older writers: this share of the time they have been waited for, so
 * that a job starts at most that much later than its transaction allowed. The bounds, in ms, are
 * about a short commit, and four looks a second for a very long one.
 */
const quiesceRest = { share: 1 / 8, leastMs: 2, mostMs: 250 };

/**
 * How long a wake-up waits for an answer of the gate that is under way, in ms. The gate answers in
 * 1 to 5, or it is silent until its deadline, while the job that caused the wake-up could have run.
 */
const gateMs = 50;

export interface Interruption {
  /** Resolves at a wake-up. */
  readonly rung: Promise<void>;
  readonly signal?: AbortSignal;
}

/**
 * Goes to sleep on a queue without missing a wake-up (docs/decisions/0006). The five steps; leaving
 * one out loses wake-ups:
 *
 * 1. Listen: call this while the listener is "listening".
 * 2. Open the gate: transactions that begin to write from now on notify.
 * 3. Look: what was committed before is found here.
 * 4. Quiesce: wait until the writers that began before step 2 are gone, and look whenever one has
 *   ended.
 * 5. Sleep: nothing is ready, and whatever comes later notifies.
 *
 * `isAnyReady` must see ready jobs that others hold locked too: a claim that is not committed may
 * be undone, and nothing announces what comes back by that.
 *
 * Returns true if the gate is open and the queue is empty. Returns false if there is reason to look
 * again first: something is ready, though another may have it in hand, `rung` resolved, or `signal`
 * was aborted. The gate may be open then. Throws what `isAnyReady` throws, and when the gate cannot
 * be opened: then only the poll finds jobs.
 */
export async function fallAsleep(
  gate: NotifyGate,
  queue: string,
  isAnyReady: () => Promise<boolean>,
  interruption: Interruption,
): Promise<boolean> {
  const writers = await lateOnceRung(gate.open(queue), interruption.rung);
  if (writers === "late" || (await isAnyReady())) return false;
  if (!(await quiesce(gate, queue, writers, isAnyReady, interruption))) return false;
  return gate.isOpen(queue); // its session may have been lost meanwhile
}

/**
 * Waits until all `writers` have ended. Returns false if something is ready, or on an interruption.
 */
async function quiesce(
  gate: NotifyGate,
  queue: string,
  writers: Writers,
  isAnyReady: () => Promise<boolean>,
  { rung, signal }: Interruption,
): Promise<boolean> {
  let isRung = false;
  void rung.then(() => (isRung = true));
  let left = writers;
  while (left.length > 0) {
    const { share, leastMs, mostMs } = quiesceRest;
    const restMs = Math.min(Math.max(gate.openForMs(queue) * share, leastMs), mostMs);
    await sleep(jitter(restMs), { until: rung, ...(signal && { signal }) });
    if (isRung || signal?.aborted) return false;
    // First this, then the look: what the others wrote is visible from here on.
    const open = await lateOnceRung(gate.stillWriting(left), rung);
    if (open === "late") return false;
    if (open.length < left.length && (await isAnyReady())) return false;
    left = open;
  }
  return true;
}

/** Returns the result of `work`, or "late" if it takes longer than a moment after a wake-up. */
function lateOnceRung<Answer>(work: Promise<Answer>, rung: Promise<void>): Promise<Answer | "late"> {
  return Promise.race([work, rung.then(() => orLate(work, gateMs))]);
}
