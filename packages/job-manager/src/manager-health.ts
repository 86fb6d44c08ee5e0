import type { Database } from "@hark/core";
import { checkConnection, describeUrl, orLate } from "@hark/core/internal";
import type { Worker } from "@hark/worker";

/** The state of a JobManager in this process. */
export interface ManagerState {
  /** True while it claims and runs jobs. */
  readonly isRunning: boolean;
  /** Size of the pool at work: the jobs that may run at the same time. 0 while it does not run. */
  readonly activeWorkers: number;
}

export interface JobManagerHealth extends ManagerState {
  /** "healthy" if there are no reasons against it. */
  readonly status: "healthy" | "unhealthy";
  readonly databaseConnected: boolean;
  /** Every problem in words. Empty if all is well. */
  readonly reasons: readonly string[];
}

/** How long a health check waits for the database, in ms. Monitors ask often and give up early. */
const healthDeadlineMs = 2_000;

export function managerState(worker: Worker | undefined, concurrency: number): ManagerState {
  const isRunning = worker?.health().state === "running";
  return { isRunning, activeWorkers: isRunning ? concurrency : 0 };
}

/** Combines the state of the process with the trouble of the database, if there is any. */
export function healthOf(
  state: ManagerState,
  trouble: string | undefined,
  worker: Worker | undefined,
): JobManagerHealth {
  const own = worker ? worker.health().reasons : ["the JobManager is not started"];
  const reasons = trouble === undefined ? own : [trouble, ...own];
  return {
    status: reasons.length === 0 ? "healthy" : "unhealthy",
    ...state,
    databaseConnected: trouble === undefined,
    reasons,
  };
}

/** Returns why the database does not count as connected, or undefined if it answers in time. */
export async function databaseTrouble(
  database: Database | undefined,
  connectionString: string,
): Promise<string | undefined> {
  if (!database) return "the JobManager is not initialised, or was stopped";
  const where = describeUrl(connectionString);
  try {
    const answer = await orLate(checkConnection(database, where), healthDeadlineMs);
    return answer === "late" ? `the database at ${where} did not answer within ${healthDeadlineMs} ms` : undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
