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

/**
 * While this worker holds no job, it looks once in so many leases. The renewals of its lease tell
 * of every other worker that comes, goes or is late; what is left to be found is an orphan whose
 * worker was deleted by hand.
 */
const quietLeases = 6;

/**
 * A worker may be declared dead by one that has renewed its own lease for this share of it without
 * a gap. So those that live have that long to renew theirs after an outage
 * (docs/decisions/0037). Longer than a connection attempt of the lease thread may hang, which is
 * a third.
 */
const steadyShare = 0.4;

/** Between looks at a lease that has run out and may not be declared dead yet, in leases. */
const unsteadyRest = 0.05;

/** An identity that owns nothing. Without a lease, the worker still rescues the jobs of others. */
const nilIdentity = "00000000-0000-0000-0000-000000000000";

export interface RescuerParts {
  readonly db: Database;
  readonly lease: Pick<LeaseKeeper, "identity" | "renewed" | "lost" | "registered">;
  readonly attempts: Pick<Attempts, "heldClaims">;
  /**
   * Claims that may still be answered, and the event that one failed without an answer: no worker
   * may hold its jobs.
   */
  readonly pending: Pick<PendingClaims, "has" | "isAny" | "unanswered">;
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
 * the way. Sleeps until the lease of another worker runs out, which the renewals of its own lease
 * tell it. So while all is well, it asks the database once a lease, and hardly ever while it holds
 * no job. Every worker has a rescuer. Row locks decide between them, and they need no leader.
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
  /** How often the fleet has changed, and up to which of these changes it has looked. */
  const changes = { come: 1, seen: 0 };
  /** When to look because of another's lease, by performance.now(), and when it looked last. */
  let expiryAt = Number.POSITIVE_INFINITY;
  let lookedAt = Number.NEGATIVE_INFINITY;

  /** Until the next look is due, in ms; at most a lease, because a job may be claimed meanwhile. */
  const untilLookMs = (holdsJobs: boolean) => {
    if (changes.seen < changes.come) return 0;
    if (looksSoon > 0) return lookedAt + unanswered.restMs - performance.now();
    const restsUntil = lookedAt + (holdsJobs ? leaseMs : quietLeases * leaseMs);
    return Math.min(restsUntil - performance.now(), expiryAt - performance.now(), leaseMs);
  };

  const loop = new Loop({
    name: "rescue",
    logger,
    async step(signal) {
      const held = attempts.heldClaims(); // before the survey, so that a job claimed during it does not count as missing
      const earlyMs = untilLookMs(held.length > 0 || pending.isAny);
      if (earlyMs > 0) return { restMs: earlyMs };
      const { come } = changes; // a change during the survey asks for another
      const asked = { worker: lease.identity ?? nilIdentity, except: orphans.refused };
      const survey = (await statements.surveyLeases(db, asked))[0]!;
      const mine = new Set(survey.mine.map(({ token, id }) => `${id} ${token}`));
      for (const { id, token } of held) if (!mine.has(`${id} ${token}`)) cancellations.suspect(id);
      await forgotten.release(survey.mine);
      if (looksSoon > 0) looksSoon -= 1; // a failed look does not count
      lookedAt = performance.now();
      changes.seen = come;

      const { nextExpiryMs = Number.POSITIVE_INFINITY } = survey;
      expiryAt = lookedAt + Math.max(nextExpiryMs, 0) + afterExpiryMs;
      const isLate = nextExpiryMs <= 0;
      if ((isLate && (await certifyDeaths(asked.worker))) || survey.hasOrphans) {
        lookedAt = Number.NEGATIVE_INFINITY; // more may be left; the next survey says so
        return rescue(signal);
      }
      if (isLate) expiryAt = lookedAt + unsteadyRest * leaseMs;
      return { restMs: Math.max(untilLookMs(true), 0) };
    },
  });

  /** Declares workers dead whose lease ran out; returns whether there were any. */
  async function certifyDeaths(witness: string): Promise<boolean> {
    const died = await statements.certifyDeaths(db, { witness, steadyMs: steadyShare * leaseMs });
    for (const { id, name } of died)
      logger.warn({ worker: id, workerName: name }, "a worker's lease ran out: it is declared dead");
    return died.length > 0;
  }

  async function rescue(signal: AbortSignal): Promise<Next> {
    return (await orphans.rescue(signal)) > 0 ? "again" : { restMs: lockedRestMs };
  }

  const lookSoon = () => {
    looksSoon = unanswered.looks;
    lookedAt = Number.NEGATIVE_INFINITY;
    loop.wakeUp.ring();
  };
  pending.unanswered.on(lookSoon);
  // A lease that comes back still has the jobs of claims that were not answered meanwhile.
  let wasLost = false;
  lease.lost.on(() => (wasLost = true));
  lease.registered.on(() => {
    if (wasLost) lookSoon();
  });
  lease.renewed.on(({ peers, othersExpireInMs = Number.POSITIVE_INFINITY }) => {
    const wakesAt = expiryAt;
    expiryAt = performance.now() + othersExpireInMs + afterExpiryMs;
    if (peers) changes.come += 1;
    if (peers || expiryAt < wakesAt) loop.wakeUp.ring();
  });
  return loop;
}
