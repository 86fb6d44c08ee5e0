import { orLate } from "@hark/core/internal";
import type { NotifyGate } from "./notify-gate.ts";
import type { Writers } from "./writer-watch.ts";

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
 * Returns "asleep" if the gate is open and the queue is empty; "ready" if something is ready,
 * though another may have it in hand; and "interrupted" if `rung` resolved, `signal` was aborted,
 * or the gate was lost, and nothing was ready before. The gate may be open then. Throws what
 * `isAnyReady` throws, and when the gate cannot be opened: then only the poll finds jobs.
 */
export async function fallAsleep(
  gate: NotifyGate,
  queue: string,
  isAnyReady: () => Promise<boolean>,
  interruption: Interruption,
): Promise<"asleep" | "ready" | "interrupted"> {
  const writers = await lateOnceRung(gate.open(queue), interruption.rung);
  if (writers === "late") return "interrupted";
  if (await isAnyReady()) return "ready";
  const end = await quiesce(gate, writers, isAnyReady, interruption);
  return end === "quiet" && gate.isOpen(queue) ? "asleep" : end === "ready" ? "ready" : "interrupted";
}

/** Waits until all `writers` have ended, something is ready, or it is interrupted. */
async function quiesce(
  gate: NotifyGate,
  writers: Writers,
  isAnyReady: () => Promise<boolean>,
  { rung, signal }: Interruption,
): Promise<"quiet" | "ready" | "interrupted"> {
  const interrupted = Promise.race([rung, ...(signal ? [aborted(signal)] : [])]).then(() => "interrupted" as const);
  const since = performance.now();
  let left = writers;
  while (left.length > 0) {
    const wait = gate.someEnded(left, since);
    const still = await Promise.race([wait.left, interrupted]).finally(wait.leave);
    // First this, then the look: what the others wrote is visible from here on.
    if (still === "interrupted") return still;
    if (await isAnyReady()) return "ready";
    left = still;
  }
  return "quiet";
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/** Returns the result of `work`, or "late" if it takes longer than a moment after a wake-up. */
function lateOnceRung<Answer>(work: Promise<Answer>, rung: Promise<void>): Promise<Answer | "late"> {
  return Promise.race([work, rung.then(() => orLate(work, gateMs))]);
}
