export { leastNode } from "./check-node.ts"; // first, so that an old Node gets no further
export type { Backoff, BackoffOptions } from "./backoff.ts";
export type { Duration } from "./clock.ts";
export { borrowPool, type Database, type DatabaseOptions, type Queryable, openDatabase } from "./database.ts";
export type { PgPool } from "./pool.ts";
export {
  DatabaseUnreachableError,
  EnqueueFromError,
  EnqueueTimeoutError,
  HarkError,
  InvalidNameError,
  InvalidOptionsError,
  InvalidPayloadError,
  type Issue,
  JobCancelledError,
  JobTimeoutError,
  LeaseLostError,
  LeaseThreadError,
  LockLostError,
  LockTimeoutError,
  MigrationBlockedError,
  MigrationForbiddenError,
  NotATransactionError,
  PayloadTooLargeError,
  PayloadUnreadableError,
  ProducerBusyError,
  ProducerClosedError,
  QueueFullError,
  RetryAfterError,
  RolesForbiddenError,
  RowsHiddenError,
  SchemaVersionError,
  SchemaWithoutLedgerError,
  SnoozeError,
  UnknownJobTypeError,
  UnrecoverableError,
  UnsupportedNodeError,
  WorkerStoppedError,
  WorkerStoppingError,
} from "./errors/index.ts";
export type { DrizzleTransaction, PgTransaction, SqlTransaction, Transaction } from "./transaction.ts";
export {
  defineJob,
  type InputOf,
  type JobDefinition,
  type JobOptions,
  type PayloadOf,
  type ResultOf,
} from "./job-definition.ts";
export { type AcquireOptions, createLocks, type Lock, type Locks } from "./locks.ts";
export { createLogger } from "./create-logger.ts";
export { type Logger, silentLogger } from "./log.ts";
export { migrate, type MigrateOptions } from "./migrate.ts";
export type { JobSettings } from "./new-job.ts";
export type { Channel, Notifications } from "./notifications.ts";
export type { DeadReason, Outcome } from "./outcome.ts";
export {
  cancelJob,
  countSlots,
  type DeadJob,
  deleteDeadJob,
  getJob,
  getStats,
  type JobDetails,
  listDeadJobs,
  listOldSnapshots,
  listSchedules,
  type OldSnapshot,
  pruneDeadJobs,
  type PruneOptions,
  removeSchedule,
  requeueDeadJob,
  type StateCounts,
  type Stats,
  type StoredSchedule,
} from "./admin/index.ts";
export { type CipherOptions, createPayloadCipher, type PayloadCipher, type SealedFor } from "./payload-cipher.ts";
export type { Login, Password } from "./session.ts";
export { createRoles, readRolesScript, roleNames } from "./roles.ts";
export { checkSchema, type SchemaVersion, schemaVersion } from "./schema-version.ts";
export * as doctor from "./doctor/index.ts";
