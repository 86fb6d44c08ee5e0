export { type Backoff, backoffMs, type BackoffOptions, defaultBackoff, parseBackoff } from "./backoff.ts";
export { type Duration, jitter, longestDelayMs, longestTimerMs, orLate, parseDuration, withDeadline } from "./clock.ts";
export {
  borrowPool,
  checkConnection,
  type Database,
  type DatabaseOptions,
  describeUrl,
  type Queryable,
  openDatabase,
  pgTypes,
} from "./database.ts";
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
  LockLostError,
  LockTimeoutError,
  MigrationBlockedError,
  NotATransactionError,
  PayloadTooLargeError,
  PayloadUnreadableError,
  ProducerClosedError,
  QueueFullError,
  RetryAfterError,
  RolesForbiddenError,
  SchemaVersionError,
  SnoozeError,
  UnknownJobTypeError,
  UnrecoverableError,
  WorkerStoppingError,
} from "./errors/index.ts";
export { WakeUpLimiter } from "./wake-up-limiter.ts";
export { type DrizzleTransaction, queryableOf, type PgTransaction, type Transaction } from "./transaction.ts";
export {
  checkMaxAttempts,
  checkPriority,
  defineJob,
  type InputOf,
  type JobDefinition,
  type JobOptions,
  parsePayload,
  payloadJson,
  type PayloadOf,
  type ResultOf,
} from "./job-definition.ts";
export { errorText, jsonIssues, limits, storableText } from "./json.ts";
export { type AcquireOptions, createLocks, type Lock, type Locks } from "./locks.ts";
export { createLogger, type Logger, redactingLogger, silentLogger } from "./log.ts";
export { migrate, type MigrateOptions } from "./migrate.ts";
export { type Migration, readMigrations } from "./migrations.ts";
export { checkName } from "./names.ts";
export { type JobSettings, newJob } from "./new-job.ts";
export {
  type Channel,
  channels,
  type JobReady,
  longestPromoteMs,
  type Notifications,
  readJobReady,
} from "./notifications.ts";
export { crashBudget, type DeadReason, decideOutcome, type Ending, type Outcome, type Tried } from "./outcome.ts";
export {
  cancelJob,
  countLiveWorkers,
  type DeadJob,
  deadJobIdAt,
  deadJobIdsAfter,
  getJob,
  getStats,
  type JobDetails,
  listDeadJobs,
  listOldSnapshots,
  listSchedules,
  type OldSnapshot,
  removeSchedule,
  requeueDeadJob,
  type StateCounts,
  type Stats,
  type StoredSchedule,
} from "./admin/index.ts";
export {
  type CipherOptions,
  createPayloadCipher,
  isSealed,
  openPayload,
  type PayloadCipher,
  type SealedFor,
} from "./payload-cipher.ts";
export { hidden, loggable, withoutRowText } from "./redact.ts";
export { longestStretchMs, RetryBudget } from "./retry-budget.ts";
export { createRoles, readRolesScript, roleNames } from "./roles.ts";
export { checkSchema, ledgerStatements, type SchemaVersion, schemaVersion, schemaVersionOn } from "./schema-version.ts";
export * as statements from "./statements/index.ts";
export {
  isCancelled,
  isDatabaseMissing,
  isPermissionDenied,
  isReadOnly,
  isRejection,
  isSchemaMissing,
  isUnreachable,
  mayBeOneRow,
} from "./sqlstate.ts";
export { escapeControls, firstLine, maskPasswords, maskUrl } from "./text.ts";
export * as doctor from "./doctor/index.ts";
