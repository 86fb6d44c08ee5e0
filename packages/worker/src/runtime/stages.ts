import { orLate } from "@hark/core/internal";
import type { Stage } from "./part.ts";

/**
 * Starts the parts of all stages, one after the other. Returns false if `isStopping` said so before
 * the last one. If a part fails to start, stops them all and throws its error.
 */
export async function startStages(stages: readonly Stage[], isStopping: () => boolean): Promise<boolean> {
  try {
    for (const part of stages.flatMap(({ parts }) => parts)) {
      if (isStopping()) return false;
      await part.start?.();
    }
    return true;
  } catch (error) {
    await stopStages(stages);
    throw error;
  }
}

/** Stops the stages from the last to the first, also those that have not started. */
export async function stopStages(stages: readonly Stage[]): Promise<void> {
  for (const { parts, stopWithinMs } of stages.toReversed()) {
    const stopped = Promise.all(parts.map(async (part) => part.stop?.()));
    await (stopWithinMs === undefined ? stopped : orLate(stopped, stopWithinMs));
  }
}
