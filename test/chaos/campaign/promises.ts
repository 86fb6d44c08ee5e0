import { crashBudget } from "@hark/core";
import type { Disturbance, Promises } from "../checker/study.ts";
import { attempts, backoff } from "../processes/jobs.ts";

/** The runtime's own deadlines, in ms: an answer, and the longest rest of a loop whose steps fail (core/database.ts, worker/runtime/loop.ts). */
const answerMs = 10_000;
const longestRestMs = 5_000;
/** A connection that comes back, a process that starts, a machine that is busy, in ms. */
const slackMs = 1_500;

/**
 * What Hark is held to, under a lease of `leaseMs`. Where one of its own deadlines stands between a fault and the next job, the
 * bound is that deadline: the figures of a run say how much less it took.
 */
export function promisesFor(leaseMs: number): Promises {
  const reconnect = longestRestMs + slackMs;
  const lostAnswer = answerMs + slackMs;
  const recoveryMs: Record<Disturbance, number> = {
    cut: reconnect,
    refuse: reconnect,
    "cut at commit": reconnect,
    terminate: slackMs,
    backends: reconnect,
    // What was asked in the hole is given up after its deadline.
    hole: lostAnswer,
    "hole up": lostAnswer,
    "hole down": lostAnswer,
    delay: lostAnswer,
    trickle: lostAnswer,
    // Only wake-ups are lost, and then nothing but the listener's own deadlines counts (reliability.md, 4.3).
    "listener cut": 1_000,
    "listener hole": 3_000,
    kill: slackMs,
    down: reconnect,
    stop: reconnect,
    block: slackMs,
    quarantine: slackMs,
    crash: reconnect,
    restart: reconnect,
    promote: reconnect,
    "pooler killed": slackMs,
    "lock row": slackMs,
    stall: slackMs * 2,
  };
  return {
    leaseMs,
    backoff,
    crashBudget,
    // The last job may crash as often as it is allowed, a lease each, wait as a suspect for the longest jobs of both workers, three
    // leases each (docs/decisions/0007), and be tried to its last attempt.
    finalWithinMs: crashBudget * (leaseMs + slackMs) + 2 * 3 * leaseMs + attempts * backoff.capMs + 5_000,
    rescueMs: leaseMs + slackMs,
    probeMs: 1_000,
    // A few ms in truth, as the figures say; the machine may have other things to do.
    quietMs: 500,
    recoveryMs,
  };
}
