export type { DeadLetterJob, PruneDeadLettersOptions } from "./dead-letters.ts";
export {
  defineUrlJob,
  type UrlJob,
  type UrlJobOptions,
  urlJobs,
  type UrlJobType,
  type UrlPayload,
} from "./define-url-job.ts";
export { describeEnvironment, type Environment, readEnvironment, type VariableName } from "./environment.ts";
export {
  DeadLetterNotFoundError,
  JobFailedError,
  JobNotDequeuedError,
  NoProcessorError,
  NotInitializedError,
  OutcomeRejectedError,
  QueueClosedError,
  UniqueKeyTakenError,
} from "./errors.ts";
export { JobManager } from "./job-manager.ts";
export type { JobManagerOptions } from "./job-manager-options.ts";
export type { JobManagerHealth, ManagerState } from "./manager-health.ts";
export type { Job, JobProcessor, JobResult } from "./processor.ts";
export type { ClaimReference, DequeuedJob } from "./queue/dequeued-job.ts";
export { PostgresQueue } from "./queue/postgres-queue.ts";
export type { DequeueOptions, FailOptions, PostgresQueueOptions } from "./queue/queue-options.ts";
export type { FailedJob } from "./queue/outcome-of.ts";
export type { DeadLetter } from "./routes/dead-letters.ts";
export type { QueueStats } from "./routes/queue-stats.ts";
export type { Runtime, RuntimeHealth } from "./routes/runtime.ts";
export { urlJobRoutes, type UrlJobRoutesOptions } from "./routes/url-jobs.ts";
export { createServer, type ServerOptions, startServer, type StartOptions } from "./server.ts";
export type { AddedJob, NewUrlJob } from "./url-job.ts";
export type { LockOptions, UrlLocks } from "./url-locks.ts";
