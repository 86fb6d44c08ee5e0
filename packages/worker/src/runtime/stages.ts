import type { Logger } from "@hark/core";
import { orLate } from "@hark/core/internal";
import type { Stage } from "./part.ts";

/** How a stop goes on if parts of it fail or hang. */
export interface StopOptions {
  /** How long all stages together may take, in ms. */
  readonly withinMs: number;
  /** When the stop began, in ms of performance.now(). Default: now. */
  readonly since?: number;
  readonly logger: Logger;
}

/**
 * Starts the parts of all stages, one after the other. Returns false if `isStopping` said so before
 * the last one. If a part fails to start, stops them all and throws its error.
 */
export async function startStages(
  stages: readonly Stage[],
  isStopping: () => boolean,
  stopOptions: StopOptions,
): Promise<boolean> {
  try {
    for (const part of stages.flatMap(({ parts }) => parts)) {
      if (isStopping()) return false;
      await part.start?.();
    }
    return true;
  } catch (error) {
    await stopStages(stages, stopOptions);
    throw error;
  }
}

/**
 * Stops the stages from the last to the first, also those that have not started. Each part is told
 * to stop, whatever the others do, and all of them share one deadline: what a stage takes, those
 * after it lack (FM-73). Returns false if a part failed, or had not stopped when its time was over.
 */
export async function stopStages(
  stages: readonly Stage[],
  { withinMs, since = performance.now(), logger }: StopOptions,
): Promise<boolean> {
  let isComplete = true;
  for (const [place, { parts, stopWithinMs = withinMs }] of [...stages.entries()].toReversed()) {
    const leftMs = Math.max(since + withinMs - performance.now(), 0);
    const stopped = Promise.all(parts.map(async (part) => part.stop?.(since)));
    try {
      if ((await orLate(stopped, Math.min(stopWithinMs, leftMs))) !== "late") continue;
      logger.warn({ stage: place, afterMs: Math.round(performance.now() - since) }, "a part of the stop is late");
    } catch (error) {
      logger.error({ stage: place, error }, "a part of the stop failed");
    }
    isComplete = false;
  }
  return isComplete;
}
