import { countSlots, type Database, getStats, type Logger, type StateCounts } from "@hark/core";
import { loggable } from "@hark/core/internal";
import { type Failure, failureOf, readDeadlineMs, within } from "@hark/server/routes";
import type { Runtime, RuntimeHealth } from "./runtime.ts";

/** The counts are null while the database cannot be reached. */
export interface QueueStats {
  readonly queue: Record<"queued" | "running" | "completed" | "failed", number | null>;
  readonly health: RuntimeHealth & {
    readonly databaseConnected: boolean;
    /** Every problem in words. Empty if all is well. */
    readonly reasons: readonly string[];
  };
  /** "healthy" if there are no reasons against it. */
  readonly status: "healthy" | "unhealthy";
  readonly states?: StateCounts;
}

const nothingRuns: RuntimeHealth = { isRunning: false, activeWorkers: 0 };
const unknownCounts = { queued: null, running: null, completed: null, failed: null };

/**
 * Always returns within the deadline for reads. If the database cannot be reached, the result also
 * has a failure.
 */
export async function queueStats(
  database: Database,
  runtime: Runtime | undefined,
  logger: Logger,
): Promise<{ stats: QueueStats; failure?: Failure; cause?: unknown }> {
  const inProcess = runtime && ownHealth(runtime, logger);
  try {
    const [{ queued, running, completed, failed, states }, { isRunning, activeWorkers }] = await within(
      readDeadlineMs,
      Promise.all([getStats(database), inProcess ?? liveWorkers(database)]),
    );
    const reasons = isRunning ? [] : ["no worker runs jobs"];
    return {
      stats: {
        queue: { queued, running, completed, failed },
        health: { isRunning, activeWorkers, databaseConnected: true, reasons },
        status: isRunning ? "healthy" : "unhealthy",
        states,
      },
    };
  } catch (error) {
    const failure = failureOf(error);
    if (failure.status !== 503) throw error;
    const { isRunning, activeWorkers } = (await inProcess) ?? nothingRuns;
    const databaseConnected = failure.code === "SCHEMA_VERSION"; // it answered, but without the expected tables
    const health = { isRunning, activeWorkers, databaseConnected, reasons: [failure.message] };
    return {
      stats: { queue: unknownCounts, health, status: "unhealthy" },
      failure,
      cause: error,
    };
  }
}

/**
 * Returns the slots of all live workers, by their leases, for a server whose own process runs no
 * jobs.
 */
async function liveWorkers(database: Database): Promise<RuntimeHealth> {
  const activeWorkers = await countSlots(database);
  return { isRunning: activeWorkers > 0, activeWorkers };
}

/** Returns the health of the runtime. If it fails to report, it does not count as running. */
async function ownHealth(runtime: Runtime, logger: Logger): Promise<RuntimeHealth> {
  try {
    return await within(readDeadlineMs, Promise.resolve(runtime.health()));
  } catch (error) {
    logger.warn({ error: loggable(error) }, "the runtime did not report its health");
    return nothingRuns;
  }
}
