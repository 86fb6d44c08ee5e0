import { JobCancelledError, LeaseLostError, silentLogger } from "@hark/core";
import { defineUrlJob, type DequeuedJob, PostgresQueue } from "@hark/job-manager";
import { createWorker, implement } from "@hark/worker";

/** A job as both ways of running show it to the code that runs it. */
export interface FaceJob {
  readonly id: string;
  readonly attempts: number;
  readonly target_url: string;
  readonly signal: AbortSignal;
}

/** Runs one job: returns its result, or throws. */
export type Run = (job: FaceJob) => Promise<unknown>;

export interface FaceOptions {
  connectionString: string;
  /** The number of jobs that run at once. */
  slots: number;
  leaseMs: number;
  run: Run;
}

/**
 * Starts running `product` jobs of the queue "default". Returns a function that stops this and
 * hands back running jobs.
 */
export type Face = (options: FaceOptions) => Promise<() => Promise<void>>;

export const product = defineUrlJob("product");

/** Longer than any test waits, so a lost wake-up fails the test. */
const pollMs = 60_000;

/** A worker runs a handler for each job. */
const workerFace: Face = async ({ connectionString, slots, leaseMs, run }) => {
  const handler = implement(product, ({ id, attempt, payload, signal }) =>
    run({ id: String(id), attempts: attempt, target_url: payload.target_url, signal }),
  );
  const worker = createWorker({
    connectionString,
    handlers: [handler],
    queues: slots,
    lease: leaseMs,
    pollInterval: pollMs,
    logger: silentLogger,
  });
  await worker.start();
  return () => worker.stop("now");
};

/**
 * A caller takes jobs from a PostgresQueue in loops, one for each slot, and reports how they ended.
 */
const queueFace: Face = async ({ connectionString, slots, leaseMs, run }) => {
  const queue = new PostgresQueue({ connectionString, lease: leaseMs, pollInterval: pollMs, logger: silentLogger });
  const isOver = (error: unknown) => error instanceof LeaseLostError || error instanceof JobCancelledError;
  const runOne = async (job: DequeuedJob) => {
    let result: unknown;
    try {
      result = await run(job);
    } catch (error) {
      await queue.failJob(job, error);
      return;
    }
    await queue.completeJob(job, result);
  };
  const takeJobs = async () => {
    for (let job = await queue.dequeue({ wait: 60_000 }); job; job = await queue.dequeue({ wait: 60_000 })) {
      await runOne(job).catch((error: unknown) => {
        if (!isOver(error)) throw error;
      });
    }
  };
  const loops = Array.from({ length: slots }, takeJobs);
  for (const loop of loops) loop.catch(() => {}); // a loop whose job never ends gets an error from the closed queue
  return () => queue.close();
};

export const faces = { "handlers of a worker": workerFace, "callers of PostgresQueue.dequeue()": queueFace };
