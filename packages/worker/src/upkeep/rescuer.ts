import type { Database, Logger } from "@hark/core";
import { statements } from "@hark/core/internal";
import type { PendingClaims } from "../claim/pending-claims.ts";
import type { LeaseKeeper } from "../lease/lease-keeper.ts";
import type { Attempts } from "../run/attempts.ts";
import type { Cancellations } from "../run/cancellations.ts";
import { Loop, type Next } from "../runtime/loop.ts";
import { ForgottenClaims } from "./forgotten-claims.ts";
import { Orphans } from "./orphans.ts";

/** Extra wait after the end of a lease, in ms, so that the clock has surely passed it. */
const afterExpiryMs = 20;

/**
 * Pause before looking again at orphans that another transaction has locked, in ms. It is another
 * rescuer, or a late completeIn().
 */
const lockedRestMs = 250;

/**
 * After a claim without an answer: the number of looks, and the ms between them. Two looks find
 * what the claim left, see {@link ForgottenClaims}. A first one may have been running already.
 */
const unanswered = { looks: 3, restMs: 250 };

/** An identity that owns nothing. Without a lease, the worker still rescues the jobs of others. */
const nilIdentity = "00000000-0000-0000-0000-000000000000";

export interface RescuerParts {
  readonly db: Database;
  readonly lease: Pick<LeaseKeeper, "identity">;
  readonly attempts: Pick<Attempts, "heldClaims">;
  /**
   * Claims that may still be answered, and the event that one failed without an answer: no worker
   * may hold its jobs.
   */
  readonly pending: Pick<PendingClaims, "has" | "unanswered">;
  /**
   * Told of a job that runs here but that the database does not assign to this process. It was just
   * settled, or its cancellation was not heard.
   */
  readonly cancellations: Pick<Cancellations, "suspect">;
  readonly leaseMs: number;
  readonly logger: Logger;
}

/**
 * Takes jobs back from workers that died, and from claims of this worker whose answer was lost on
 * the way. Sleeps until the earliest lease of another worker would run out. So while all is well,
 * it asks the database once a lease. Every worker has a rescuer. Row locks decide between them, and
 * they need no leader.
 */
export function rescuer(parts: RescuerParts): Loop {
  const { db, lease, attempts, pending, cancellations, leaseMs, logger } = parts;
  const orphans = new Orphans({ db, logger });
  const forgotten = new ForgottenClaims({
    db,
    heldClaims: () => attempts.heldClaims(),
    isAwaited: (token) => pending.has(token),
    logger,
  });
  /** The number of looks that follow soon. */
  let looksSoon = 0;

  const loop = new Loop({
    name: "rescue",
    restMs: leaseMs,
    logger,
    async step(signal) {
      const held = attempts.heldClaims(); // before the survey, so that a job claimed during it does not count as missing
      const asked = { worker: lease.identity ?? nilIdentity, except: orphans.refused };
      const survey = (await statements.surveyLeases(db, asked))[0]!;
      const mine = new Set(survey.mine.map(({ token, id }) => `${id} ${token}`));
      for (const { id, token } of held) if (!mine.has(`${id} ${token}`)) cancellations.suspect(id);
      await forgotten.release(survey.mine);
      if (looksSoon > 0) looksSoon -= 1; // a failed look does not count

      const { nextExpiryMs = leaseMs } = survey;
      if ((nextExpiryMs <= 0 && (await certifyDeaths())) || survey.hasOrphans) return rescue(signal);
      const restMs = Math.max(nextExpiryMs, 0) + afterExpiryMs;
      return { restMs: Math.min(restMs, looksSoon > 0 ? unanswered.restMs : leaseMs) };
    },
  });

  /** Declares workers dead whose lease ran out; returns whether there were any. */
  async function certifyDeaths(): Promise<boolean> {
    const died = await statements.certifyDeaths(db, {});
    for (const { id, name } of died)
      logger.warn({ worker: id, workerName: name }, "a worker's lease ran out: it is declared dead");
    return died.length > 0;
  }

  async function rescue(signal: AbortSignal): Promise<Next> {
    // More may be left; the next survey says so.
    return (await orphans.rescue(signal)) > 0 ? "again" : { restMs: lockedRestMs };
  }

  pending.unanswered.on(() => {
    looksSoon = unanswered.looks;
    loop.wakeUp.ring();
  });
  return loop;
}
