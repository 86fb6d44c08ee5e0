/**
 * The subpath `@hark/core/internal`: what the other packages of Hark and tests need besides the
 * public names. Any release may change it.
 */
export { leastNode } from "./check-node.ts"; // first, so that an old Node gets no further
export { backoffMs, defaultBackoff, parseBackoff } from "./backoff.ts";
export { jitter, longestDelayMs, longestTimerMs, orLate, parseDuration, withDeadline } from "./clock.ts";
export { borrowPool, checkConnection, describeUrl, openDatabase } from "./database.ts";
export { pgTypes } from "./pg-types.ts";
export { type Login, connectionStringIssue, connectSession, sessionConfig, withFreshPassword } from "./session.ts";
export { WakeUpLimiter } from "./wake-up-limiter.ts";
export { queryableOf } from "./transaction.ts";
export { checkMaxAttempts, checkPayload, checkPriority, defineJob, parsePayload } from "./job-definition.ts";
export {
  EnqueueFromError,
  EnqueueTimeoutError,
  InvalidOptionsError,
  InvalidPayloadError,
  isHarkError,
  ProducerBusyError,
  ProducerClosedError,
  QueueFullError,
  UnknownJobTypeError,
} from "./errors/index.ts";
export { spellsIds } from "./json-ids.ts";
export { jsonIssues } from "./encode-json.ts";
export { errorText, messageOf } from "./error-text.ts";
export { escapeBeyond, limits, storableText } from "./json.ts";
export { redactingLogger } from "./log.ts";
export { type LogLevel, logLevelOf } from "./log-level.ts";
export { databaseChoiceIssues } from "./database-choice.ts";
export { checkOptions, type OptionKind, optionIssues, type OptionKinds, unknownOption } from "./check-options.ts";
export { type Migration, readMigrations } from "./migrations.ts";
export { quote } from "./errors/hark-error.ts";
export { encodeJson } from "./encode-json.ts";
export { checkName } from "./names.ts";
export { newJob } from "./new-job.ts";
export { channels, type JobReady, longestPromoteMs, readJobReady } from "./notifications.ts";
export { crashBudget, decideOutcome, type Ending, type Tried } from "./outcome.ts";
export { countPrunable, deadJobIdAt, deadJobIdsAfter } from "./admin/index.ts";
export { isSealed, openPayload } from "./payload-cipher.ts";
export { hidden, loggable, withoutRowText } from "./redact.ts";
export { longestStretchMs, RetryBudget } from "./retry-budget.ts";
export { type StoredJson, storedJson } from "./stored-json.ts";
export { ledgerStatements, schemaVersionOn } from "./schema-version.ts";
export * as statements from "./statements/index.ts";
export {
  isCancelled,
  isDatabaseMissing,
  isPermissionDenied,
  isReadOnly,
  isLockedOut,
  isRejection,
  isSchemaMissing,
  isSerializationFailure,
  isBeyondEncoding,
  isStartupRefused,
  isUnreachable,
  mayBeOneRow,
  quotesData,
} from "./sqlstate.ts";
export { escapeControls, firstLine, maskSecrets, maskUrl } from "./text.ts";
