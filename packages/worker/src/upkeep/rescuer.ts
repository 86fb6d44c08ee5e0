import { type Database, type Logger, statements } from "@hark/core";
import type { LeaseKeeper } from "../lease/lease-keeper.ts";
import type { Attempts } from "../run/attempts.ts";
import { Loop, type Next } from "../runtime/loop.ts";
import type { Part } from "../runtime/part.ts";
import { ForgottenClaims } from "./forgotten-claims.ts";
import { Orphans } from "./orphans.ts";

/** After a lease should have run out, in ms, so that the clock has passed it for sure. */
const afterExpiryMs = 20;

/**
 * Before looking again at orphans that another transaction has locked, in ms: another rescuer, or a
 * late completeIn().
 */
const lockedRestMs = 250;

/**
 * After a claim that was not answered: so many looks so long apart, in ms. Two find what it left,
 * see {@link ForgottenClaims}; the first may have been under way already.
 */
const unanswered = { looks: 3, restMs: 250 };

/**
 * Takes jobs back from workers that died, and from claims of this worker whose answer was lost on
 * the way. Sleeps until the earliest lease of another would run out, so it asks the database once a
 * lease while all is well and every claim is answered. Every worker has one: row locks decide, not
 * a leader.
 */
export class Rescuer implements Part {
  readonly #db: Database;
  readonly #lease: LeaseKeeper;
  readonly #heldClaims: () => readonly statements.Claim[];
  readonly #onUnheld: (id: bigint) => void;
  readonly #forgotten: ForgottenClaims;
  readonly #orphans: Orphans;
  readonly #leaseMs: number;
  readonly #logger: Logger;
  readonly #loop: Loop;
  /** Looks that are to come in short order. */
  #looksSoon = 0;

  constructor(parts: {
    db: Database;
    lease: LeaseKeeper;
    attempts: Pick<Attempts, "heldClaims">;
    /** Whether a claim under the token may still be answered. */
    isAwaited: (token: string) => boolean;
    /**
     * A job runs here that the database does not book to this process: it was just settled, or
     * cancelled without our hearing it.
     */
    onUnheld: (id: bigint) => void;
    leaseMs: number;
    logger: Logger;
  }) {
    this.#db = parts.db;
    this.#lease = parts.lease;
    this.#leaseMs = parts.leaseMs;
    this.#logger = parts.logger;
    const heldClaims = (this.#heldClaims = () => parts.attempts.heldClaims());
    const { db, isAwaited, logger } = parts;
    this.#onUnheld = parts.onUnheld;
    this.#forgotten = new ForgottenClaims({ db, heldClaims, isAwaited, logger });
    this.#orphans = new Orphans(parts);
    const step = (signal: AbortSignal) => this.#step(signal);
    this.#loop = new Loop({ name: "rescue", restMs: parts.leaseMs, logger, step });
  }

  start(): void {
    this.#loop.start();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  /**
   * What a claim took may be booked to this process and in nobody's hands: looks for it now, and
   * not once a lease.
   */
  claimUnanswered(): void {
    this.#looksSoon = unanswered.looks;
    this.#loop.wakeUp.ring();
  }

  async #step(signal: AbortSignal): Promise<Next> {
    const identity = this.#lease.identity;
    // The nil identity owns nothing: without a lease of our own there is still the others' jobs to
    // look after.
    const held = this.#heldClaims();
    const asked = { worker: identity ?? nilIdentity, except: this.#orphans.refused };
    const survey = (await statements.surveyLeases(this.#db, asked))[0]!;
    const mine = new Set(survey.mine.map(({ token, id }) => `${id} ${token}`));
    for (const { id, token } of held) if (!mine.has(`${id} ${token}`)) this.#onUnheld(id);
    await this.#forgotten.release(survey.mine);
    if (this.#looksSoon > 0) this.#looksSoon -= 1; // a look that failed was none

    if (survey.nextExpiryMs !== undefined && survey.nextExpiryMs <= 0) {
      const died = await statements.certifyDeaths(this.#db, {});
      for (const { id, name } of died)
        this.#logger.warn({ worker: id, workerName: name }, "a worker's lease ran out: it is declared dead");
      if (died.length > 0) return this.#rescue(signal);
    }
    if (survey.hasOrphans) return this.#rescue(signal);
    const restMs = Math.max(survey.nextExpiryMs ?? this.#leaseMs, 0) + afterExpiryMs;
    return { restMs: Math.min(restMs, this.#looksSoon > 0 ? unanswered.restMs : this.#leaseMs) };
  }

  async #rescue(signal: AbortSignal): Promise<Next> {
    // More may be left; the next survey says so.
    return (await this.#orphans.rescue(signal)) > 0 ? "again" : { restMs: lockedRestMs };
  }
}

const nilIdentity = "00000000-0000-0000-0000-000000000000";
