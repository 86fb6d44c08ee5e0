import type { Outcome } from "@hark/core";
import { backoffMs, errorText, storableText } from "@hark/core/internal";
import type { Unsettled } from "./unsettled.ts";

/**
 * How long an outcome that the database refuses is tried again, in ms. A trigger or constraint of
 * the application that fails is mostly mended or rolled back within seconds, and the key of the job
 * is held meanwhile.
 */
const patienceMs = 20_000;

/** Between tries of a refused outcome: 0.25 s doubling to 5 s, a fifth of it random. */
const betweenTries = { baseMs: 250, factor: 2, capMs: 5_000, jitter: 0.2 };

/**
 * Outcomes that the database refused and may take later, since what refuses them is in the
 * application's hands (FM-72). Each rests for a while, and then comes back to be written again.
 */
export class RefusedOutcomes {
  readonly #resting = new Map<Unsettled, NodeJS.Timeout>();
  readonly #comeBack: (entry: Unsettled) => void;
  #isLastCall = false;

  /** `comeBack` is called for an outcome that is to be written again. */
  constructor(comeBack: (entry: Unsettled) => void) {
    this.#comeBack = comeBack;
  }

  /**
   * Notes that an outcome was refused. Returns true if it rests to be tried again, and false if it
   * was tried for long enough.
   */
  rest(entry: Unsettled): boolean {
    entry.refusals += 1;
    entry.refusedAt ??= performance.now();
    entry.isLeftBehind = true; // or a claim that carried it would be refused with it
    if (this.isOverdue(entry)) return false;
    const timer = setTimeout(() => this.#release(entry), backoffMs(betweenTries, entry.refusals));
    this.#resting.set(entry, timer);
    return true;
  }

  /** Whether a try of this outcome is its last. */
  isOverdue({ refusedAt }: Unsettled): boolean {
    return this.#isLastCall || (refusedAt !== undefined && performance.now() - refusedAt >= patienceMs);
  }

  /** Has all outcomes tried once more, now. From now on none rests. */
  lastCall(): void {
    this.#isLastCall = true;
    for (const entry of this.#resting.keys()) this.#release(entry);
  }

  #release(entry: Unsettled): void {
    clearTimeout(this.#resting.get(entry));
    this.#resting.delete(entry);
    this.#comeBack(entry);
  }
}

/** The dead letter in place of an outcome that the database has refused for too long. */
export function buried({ outcome, refusals }: Unsettled, rejection: unknown): Outcome {
  const why = `the database refused it ${refusals === 1 ? "once" : `${refusals} times`}: ${errorText(rejection)}`;
  const error =
    outcome.state === "completed"
      ? `the job is done, but its success could not be stored. Requeue it only if its work may be done twice. ${why}`
      : `the outcome "${outcome.state}" could not be stored: ${why}${ofAttempt(outcome)}`;
  return { state: "dead", ending: "fatal", reason: "unrecoverable", error: storableText(error) };
}

function ofAttempt(outcome: Outcome): string {
  const error = "error" in outcome ? outcome.error : null;
  return error === null ? "" : `\nThe attempt had ended with: ${error}`;
}
