import type { Logger, Outcome } from "@hark/core";
import { backoffMs, errorText, isBeyondEncoding, quotesData, storableText } from "@hark/core/internal";
import { escapedOutcome } from "./escaped-outcome.ts";
import type { Unsettled } from "./unsettled.ts";

/**
 * How long an outcome that the database refuses is tried again, in ms. A trigger or constraint of
 * the application that fails is mostly mended or rolled back within seconds, and the key of the job
 * is held meanwhile.
 */
const patienceMs = 20_000;

/** Between tries of a refused outcome: 0.25 s doubling to 5 s, a fifth of it random. */
const betweenTries = { baseMs: 250, factor: 2, capMs: 5_000, jitter: 0.2 };

/** What the settler does for {@link RefusedOutcomes}. */
interface RefusedParts {
  /** An outcome that rested is to be written again. */
  comeBack: (entry: Unsettled) => void;
  /** Writes outcomes of one state, and calls add() for each that is refused by itself. */
  write: (entries: readonly Unsettled[]) => Promise<void>;
  /** Writes outcomes of one state in one statement. Throws the database's rejection. */
  writeOnce: (entries: readonly Unsettled[]) => Promise<void>;
  /** An outcome is not written at all: upkeep hands its job back later. */
  giveUp: (entry: Unsettled) => void;
  logger: Logger;
}

/**
 * Outcomes that the database refused and may take later, since what refuses them is in the
 * application's hands (FM-72). Each rests for a while, and then comes back to be written again.
 * After some rests its job becomes a dead letter with the reason.
 */
export class RefusedOutcomes {
  readonly #parts: RefusedParts;
  readonly #resting = new Map<Unsettled, NodeJS.Timeout>();
  #isLastCall = false;

  constructor(parts: RefusedParts) {
    this.#parts = parts;
  }

  /** The database rejected a single outcome. A result whose data is rejected is left out. */
  async add(entry: Unsettled, rejection: unknown): Promise<void> {
    const { write, giveUp, logger } = this.#parts;
    const { claim, outcome, refusals } = entry;
    const escaped = isBeyondEncoding(rejection) ? escapedOutcome(outcome) : undefined;
    if (escaped) {
      entry.outcome = escaped;
      return write([entry]);
    }
    const facts = { jobId: claim.id, error: rejection, outcome: outcome.state };
    if (outcome.state === "completed" && outcome.resultJson !== null && quotesData(rejection)) {
      logger.warn(facts, "the database rejected a result, so its job is completed without it");
      entry.outcome = { state: "completed", resultJson: null };
      return write([entry]);
    }
    if (this.#rest(entry)) {
      if (refusals === 0) logger.error(facts, "the database rejected an outcome, will try again");
      return;
    }
    logger.error(facts, "the database rejected an outcome for too long");
    if (outcome.state === "dead") return giveUp(entry); // even this plain text was rejected
    entry.outcome = buried(entry, rejection);
    entry.refusals = 0;
    entry.refusedAt = undefined;
    await write([entry]);
  }

  /**
   * Writes outcomes that were refused before, behind one of them: if that is refused again, the
   * cause lasts, and the others need no statement each to find that out.
   */
  async writeAgain(entries: readonly Unsettled[]): Promise<void> {
    const probe = entries[Math.floor(Math.random() * entries.length)]!;
    const others = entries.filter((entry) => entry !== probe);
    try {
      await this.#parts.writeOnce([probe]);
    } catch (rejection) {
      await this.add(probe, rejection);
      const overdue = others.filter((entry) => this.#isOverdue(entry) || !this.#rest(entry));
      return this.#parts.write(overdue);
    }
    await this.#parts.write(others);
  }

  /** Returns true if it rests to be tried again, and false if it was tried for long enough. */
  #rest(entry: Unsettled): boolean {
    entry.refusals += 1;
    entry.refusedAt ??= performance.now();
    entry.isLeftBehind = true; // or a claim that carried it would be refused with it
    if (this.#isOverdue(entry)) return false;
    const timer = setTimeout(() => this.#release(entry), backoffMs(betweenTries, entry.refusals));
    this.#resting.set(entry, timer);
    return true;
  }

  /** Whether a try of this outcome is its last. */
  #isOverdue({ refusedAt }: Unsettled): boolean {
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
    this.#parts.comeBack(entry);
  }
}

/** The dead letter in place of an outcome that the database has refused for too long. */
function buried({ outcome, refusals }: Unsettled, rejection: unknown): Outcome {
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
