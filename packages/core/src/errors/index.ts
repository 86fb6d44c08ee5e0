export { HarkError, isHarkError, type Issue } from "./hark-error.ts";
export {
  InvalidNameError,
  InvalidOptionsError,
  InvalidPayloadError,
  NotATransactionError,
  PayloadTooLargeError,
  UnknownJobTypeError,
} from "./input-errors.ts";
export {
  EnqueueFromError,
  EnqueueTimeoutError,
  ProducerBusyError,
  ProducerClosedError,
  QueueFullError,
} from "./enqueue-errors.ts";
export {
  JobCancelledError,
  JobTimeoutError,
  LeaseLostError,
  PayloadUnreadableError,
  RetryAfterError,
  SnoozeError,
  UnrecoverableError,
  WorkerStoppingError,
} from "./job-errors.ts";
export { WorkerStoppedError } from "./worker-errors.ts";
export { LockLostError, LockTimeoutError } from "./lock-errors.ts";
export {
  DatabaseUnreachableError,
  LeaseThreadError,
  MigrationBlockedError,
  MigrationForbiddenError,
  RolesForbiddenError,
  RowsHiddenError,
  SchemaVersionError,
  SchemaWithoutLedgerError,
  UnsupportedNodeError,
} from "./database-errors.ts";
