import { crashBudget, longestStretchMs } from "@hark/core";
import type { Disturbance, Promises } from "../checker/study.ts";
import { attempts, backoff } from "../processes/jobs.ts";

/** Jobs that each worker of a campaign runs at once. */
export const slots = 8;

/** The runtime's own deadlines, in ms: an answer, and the longest rest of a loop whose steps fail (core/database.ts, worker/runtime/loop.ts). */
const answerMs = 10_000;
const longestRestMs = 5_000;
/** Of the listener: its connect that began while nobody answered, and its rest (worker/listener.ts). */
const listenerMs = 3_000 + 450;
/** A process that starts, or a job that is taken back, on a machine that is busy, in ms. */
const slackMs = 1_500;

/**
 * What Hark is held to, under a lease of `leaseMs`. The bounds on recovery are those of the issue of trust, and hold beside what
 * the machine itself takes at that moment for the sessions that are opened anew: see `sessions`. Where one of the runtime's own
 * deadlines stands between a fault and the next job, the bound is that deadline: a run's figures say how much less it took.
 */
export function promisesFor(leaseMs: number): Promises {
  const healedMs = 500;
  const lostAnswer = answerMs + healedMs;
  const recoveryMs: Record<Disturbance, number> = {
    cut: healedMs,
    refuse: healedMs,
    "cut at commit": healedMs,
    terminate: healedMs,
    backends: healedMs,
    // What was asked in the hole is given up after its deadline.
    hole: lostAnswer,
    "hole up": lostAnswer,
    "hole down": lostAnswer,
    // What is under way arrives; a session that was given up meanwhile is opened anew, after the rest at the end of its attempts.
    delay: listenerMs,
    trickle: listenerMs,
    "listener cut": healedMs,
    "listener hole": 3_000,
    kill: healedMs,
    down: healedMs,
    // It may have lost its lease, and have sessions that ended while it stood: it finds out, and registers anew.
    stop: slackMs,
    block: healedMs,
    quarantine: healedMs,
    crash: healedMs,
    restart: healedMs,
    promote: 2_000,
    "pooler killed": healedMs,
    "lock row": healedMs,
    // No session breaks, so nothing says that there is room again: loops rest as after any failure.
    "disk full": longestRestMs + healedMs,
    stall: slackMs,
  };
  return {
    leaseMs,
    backoff,
    retryBudget: { free: 5, inMs: 250, stretchMs: longestStretchMs },
    crashBudget,
    slots,
    // The last job may crash as often as it is allowed, a lease each, wait as a suspect for the longest jobs of both workers, three
    // leases each (docs/decisions/0007), and be tried to its last attempt.
    finalWithinMs: crashBudget * (leaseMs + slackMs) + 2 * 3 * leaseMs + attempts * backoff.capMs + 5_000,
    rescueMs: leaseMs + slackMs,
    probeMs: healedMs,
    // A few ms in truth, as the figures say; the machine may have other things to do.
    quietMs: 500,
    recoveryMs,
    // Who is struck twice may be in the rest of a loop that has failed several times when the second is over.
    stragglers: { share: 0.01, byMs: longestRestMs },
    // The listener's, the one that proves that it hears, and the claim's, one after the other.
    sessions: 3,
  };
}
