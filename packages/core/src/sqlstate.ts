/*
 * What error codes mean to Hark: the only place that knows them. SQLSTATEs are those of the
 * PostgreSQL manual, appendix A. This file imports nothing, so that the command line can name an
 * error before anything else is loaded.
 */

/** The code of an error: an SQLSTATE, one of Node's such as ECONNREFUSED, or "" if it has none. */
export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

export type DatabaseError = Error & { code: string; severity: string; routine?: string };

/**
 * Whether PostgreSQL itself raised the error: its errors have a severity, those of pg and Node have
 * not.
 */
export function isDatabaseError(error: unknown): error is DatabaseError {
  return error instanceof Error && "severity" in error && /^[0-9A-Z]{5}$/.test(codeOf(error));
}

/**
 * Whether the database refuses the row for good; false if it may take it later, or did not answer.
 * Classes 21 cardinality, 22 data, 23 integrity and 54 program limits, and what a trigger of the
 * application raises. Everything else passes.
 */
export function isRejection(error: unknown): boolean {
  return /^((21|22|23|54)[0-9A-Z]{3}|P0001)$/.test(codeOf(error));
}

/**
 * Whether single rows may be the cause, so that a sender of many should send fewer (FM-16). False
 * for trouble of the server, the session or the moment, which meets every row alike, and for no
 * answer: 08 connection, 25 state of the transaction or a standby, 28 and 3D login and database, 40
 * rolled back, 53 resources, 55 locked, 57 cancelled or shut down, 58 the system. A trigger of the
 * application may fail in any other way.
 */
export function mayBeOneRow(error: unknown): boolean {
  return isDatabaseError(error) && !/^(08|25|28|3D|40|53|55|57|58)/.test(error.code);
}

/** Whether the message may quote the value at fault: data_exception. */
export const quotesData = (error: unknown): boolean => codeOf(error).startsWith("22");

const networkCodes =
  /^(ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EPIPE|EHOSTUNREACH|ENETUNREACH|ENOENT|EACCES)$/;

/**
 * Whether no server took the connection, or dropped it: network, 08 connection, too many
 * connections, 57P0x shutdown.
 */
export function isUnreachable(error: unknown): boolean {
  return networkCodes.test(codeOf(error)) || /^(08...|53300|57P0.)$/.test(codeOf(error));
}

/** Whether the server refuses this login: class 28. */
export const isLoginRefused = (error: unknown): boolean => /^28...$/.test(codeOf(error));

/** Whether there is no such database: invalid_catalog_name. */
export const isDatabaseMissing = (error: unknown): boolean => codeOf(error) === "3D000";

/** Whether the server takes no writes, as a standby: read_only_sql_transaction. */
export const isReadOnly = (error: unknown): boolean => codeOf(error) === "25006";

/** Whether the schema is not the one this code knows: no such schema, table, function or column. */
export const isSchemaMissing = (error: unknown): boolean => /^(3F000|42P01|42883|42703)$/.test(codeOf(error));

/** Whether the role lacks a right: insufficient_privilege. */
export const isPermissionDenied = (error: unknown): boolean => codeOf(error) === "42501";

/** Whether the statement was cancelled, mostly by statement_timeout: query_canceled. */
export const isCancelled = (error: unknown): boolean => codeOf(error) === "57014";

/**
 * Whether it gave way to another session: lock_not_available by lock_timeout, or deadlock_detected.
 */
export const isGivingWay = (error: unknown): boolean => /^(55P03|40P01)$/.test(codeOf(error));

/** Whether it waited for another transaction's lock for too long, or may have. */
export const isLockedOut = (error: unknown): boolean => /^(55P03|57014)$/.test(codeOf(error));

/**
 * Whether the other end refused a session at its start for a reason that may be what the session
 * asked to set. Poolers say so in many ways: PgBouncer by 08P01, RDS Proxy by 0A000, others by a
 * closed connection. False for a wrong login or database, too many connections, and for no answer.
 */
export function isStartupRefused(error: unknown): boolean {
  if (isDatabaseError(error)) return !/^(28|3D|53|57)/.test(error.code);
  return (
    error instanceof Error && codeOf(error) === "" && error.message.startsWith("Connection terminated unexpectedly")
  );
}

/**
 * Whether a session refused a statement for its name, and so did nothing: it does not know the name
 * (26000), knows it already (42P05), or knows another statement by it (08P01, if raised by
 * PostgreSQL: the same code of a pooler, FATAL, ends a session in which the statement may have
 * run). Then a transaction pooler is in the way, or something like DISCARD ALL was run (FM-81).
 */
export function isNameRefused(error: unknown): boolean {
  return isDatabaseError(error) && error.severity === "ERROR" && /^(26000|42P05|08P01)$/.test(error.code);
}

/**
 * Whether the database's encoding lacks a character of the text: untranslatable_character or
 * character_not_in_repertoire. A database of UTF-8 lacks none.
 */
export const isBeyondEncoding = (error: unknown): boolean => /^(22P05|22021)$/.test(codeOf(error));

/** Whether a job has the id of another: a unique violation of the key of one of their tables. */
export const isJobIdTaken = (error: unknown): boolean =>
  codeOf(error) === "23505" &&
  /^(jobs|running_jobs|dead_jobs)_pkey$/.test(String((error as { constraint?: unknown }).constraint));

/**
 * Whether a transaction of one snapshot met a newer change, and may be tried again: 40001. Drizzle
 * wraps what the driver throws.
 */
export const isSerializationFailure = (error: unknown): boolean =>
  [error, (error as { cause?: unknown } | undefined)?.cause].some((each) => codeOf(each) === "40001");
