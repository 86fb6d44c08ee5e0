import { setTimeout as pause } from "node:timers/promises";
import type { Database, Outcome } from "@hark/core";
import { statements } from "@hark/core/internal";
import type { Worker } from "@hark/worker";

/** How the attempts of a run ended. */
export interface Tally {
  completed: number;
  /** Failed, and will be retried. */
  retried: number;
  dead: number;
  /** Cancelled, snoozed, handed back, or refused because another worker had the job by then. */
  other: number;
}

/** Pause between two checks whether jobs are left, in ms. */
const lookMs = 100;

/**
 * How long no job may have started before the queues count as drained, in ms. A claim's result may
 * still be on its way.
 */
const quietMs = 250;

/** Counts the outcomes from now on. */
export function tallyOf({ events }: Worker): Tally {
  const tally: Tally = { completed: 0, retried: 0, dead: 0, other: 0 };
  events.on("settled", (_, outcome) => void (tally[kindOf(outcome)] += 1));
  events.on("refused", () => void (tally.other += 1));
  return tally;
}

function kindOf(outcome: Outcome): keyof Tally {
  if (outcome.state === "completed" || outcome.state === "dead") return outcome.state;
  return outcome.state === "scheduled" && outcome.error !== null ? "retried" : "other";
}

/**
 * Resolves once a started worker has run the ready jobs in `queues` of its job types: none is
 * ready, none runs here, and none has started for `quietMs`. Jobs that are due later stay, and so
 * do jobs without a handler. If a claim takes longer than `quietMs`, the worker's stop hands its
 * jobs back, so a job may be left but none is lost.
 */
export async function drained(
  worker: Worker,
  db: Database,
  queues: readonly string[],
  types: ReadonlySet<string>,
): Promise<void> {
  let lastStart = performance.now();
  worker.events.on("started", () => {
    lastStart = performance.now();
  });
  for (;;) {
    await pause(lookMs);
    const isQuiet = worker.health().activeJobs === 0 && performance.now() - lastStart > quietMs;
    if (isQuiet && (await statements.queuesWithReadyJobs(db, { queues, types: [...types] })).length === 0) return;
  }
}
