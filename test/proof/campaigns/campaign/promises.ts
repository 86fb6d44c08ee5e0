import { crashBudget, longestStretchMs } from "@hark/core/internal";
import type { Disturbance, Promises } from "../checker/study.ts";
import { attempts, backoff } from "../processes/jobs.ts";

/** Jobs that each worker of a campaign runs at once. */
export const slots = 8;

/**
 * The runtime's own deadlines, in ms: for an answer, and the longest rest of a loop whose steps
 * fail (core/database.ts, worker/runtime/loop.ts).
 */
const answerMs = 10_000;
const longestRestMs = 5_000;
/**
 * For the listener: a connect that began while the server was silent, and its rest
 * (worker/wake/listener.ts).
 */
const listenerMs = 3_000 + 450;
/** For a process that starts, or a job that is rescued, on a busy machine, in ms. */
const slackMs = 1_500;

/**
 * The promises that Hark must keep under a lease of `leaseMs`. The bounds on recovery do not
 * include the time that the machine itself takes at that moment to open new sessions: see
 * `sessions`. Where one of the runtime's own deadlines lies between a fault and the next job, the
 * bound is that deadline. The figures of a run say how much less it took.
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
    // A statement without an answer is given up after its deadline.
    hole: lostAnswer,
    "hole up": lostAnswer,
    "hole down": lostAnswer,
    // Bytes on the way arrive. A session that was given up meanwhile is opened again, after the
    // last rest between attempts.
    delay: listenerMs,
    trickle: listenerMs,
    "listener cut": healedMs,
    "listener hole": 3_000,
    kill: healedMs,
    down: healedMs,
    // It may have lost its lease, and its sessions may have ended while it was stopped. It finds
    // out and registers again.
    stop: slackMs,
    block: healedMs,
    quarantine: healedMs,
    crash: healedMs,
    restart: healedMs,
    promote: 2_000,
    "pooler killed": healedMs,
    "lock row": healedMs,
    // No session breaks, so nothing reports that there is room again. Loops rest as after any
    // failure.
    "disk full": longestRestMs + healedMs,
    stall: slackMs,
  };
  return {
    leaseMs,
    backoff,
    retryBudget: { free: 5, inMs: 250, stretchMs: longestStretchMs },
    crashBudget,
    slots,
    // The last job may crash as often as it is allowed, which takes a lease each. As a suspect it
    // waits for the longest jobs of both workers, three leases each (docs/decisions/0007). Then it
    // may be retried to its last attempt.
    finalWithinMs: crashBudget * (leaseMs + slackMs) + 2 * 3 * leaseMs + attempts * backoff.capMs + 5_000,
    rescueMs: leaseMs + slackMs,
    probeMs: healedMs,
    // The figures show a few ms. The rest is for a busy machine.
    quietMs: 500,
    recoveryMs,
    // A worker hit by two faults may still be in the rest of a loop that has failed several times
    // when the second is over.
    stragglers: { share: 0.01, byMs: longestRestMs },
    // The listener's, the second session that checks it, and the claim's, one after the other.
    sessions: 3,
  };
}
