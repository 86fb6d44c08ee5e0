import type { HarkError, Issue, QueueFullError } from "@hark/core";
import {
  isCancelled,
  isDatabaseMissing,
  isHarkError,
  isPermissionDenied,
  isReadOnly,
  isSchemaMissing,
  isUnreachable,
  storableText,
} from "@hark/core/internal";
import { RequestRefusedError } from "./errors.ts";

/**
 * The part of an error that a caller may see: never SQL, a stack, a host name or a cause (SEC-26).
 */
export interface Failure {
  readonly status: 400 | 401 | 403 | 404 | 405 | 409 | 413 | 415 | 421 | 429 | 500 | 503;
  readonly code: string;
  readonly message: string;
  readonly issues?: readonly Issue[];
  readonly headers?: Readonly<Record<string, string>>;
}

/** HTTP statuses by error code. Any other code is the server's own fault: 500. */
const statuses: Record<string, Failure["status"]> = {
  MALFORMED_REQUEST: 400,
  MALFORMED_JSON: 400,
  INVALID_BODY: 400,
  INVALID_QUERY: 400,
  INVALID_NAME: 400,
  INVALID_OPTIONS: 400,
  INVALID_PAYLOAD: 400,
  UNKNOWN_JOB_TYPE: 400,
  UNAUTHORIZED: 401,
  CROSS_SITE: 403,
  SCOPE_MISSING: 403,
  DATABASE_FORBIDS: 403,
  NOT_FOUND: 404,
  DEAD_LETTER_NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  UNIQUE_KEY_TAKEN: 409,
  BODY_TOO_LARGE: 413,
  PAYLOAD_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  HOST_NOT_ALLOWED: 421,
  TOO_MANY_REQUESTS: 429,
  QUEUE_FULL: 429,
  DATABASE_TIMEOUT: 503,
  DATABASE_UNREACHABLE: 503,
  SCHEMA_VERSION: 503,
  SCHEMA_WITHOUT_LEDGER: 503,
};

/** Messages that replace the error's own, which may name hosts or contain data. */
const ownWords: Record<string, string> = {
  DATABASE_FORBIDS: "The database role of this server lacks the right to do that. Nothing was changed.",
  DATABASE_UNREACHABLE: "The database cannot be reached. No job is lost. Try again later.",
  SCHEMA_WITHOUT_LEDGER: `The database has no Hark schema that fits this server. Its operator has to restore the schema.`,
  SCHEMA_VERSION: `The database has no Hark schema that fits this server. Run "hark migrate" with the server's version.`,
};

/** Returns the failure for a thrown value, or 500 INTERNAL if the value is unknown. */
export function failureOf(error: unknown): Failure {
  const code = isHarkError(error) ? error.code : databaseFault(error);
  const status = code === undefined ? undefined : statuses[code];
  if (code === undefined || status === undefined) {
    return {
      status: 500,
      code: "INTERNAL",
      message: "The server failed. Its log has the cause under this request's id.",
    };
  }
  const issues = issuesOf(error);
  return {
    status,
    code,
    message: ownWords[code] ?? storableText((error as HarkError).message, 1_000),
    ...(issues && { issues }),
    ...(error instanceof RequestRefusedError && { headers: error.headers }),
    ...(isHarkError(error, "QUEUE_FULL") && {
      headers: { "retry-after": String(Math.ceil((error as QueueFullError).retryAfterMs / 1_000)) },
    }),
  };
}

/**
 * Returns at most 20 issues, shortened, because names in them may be as long as a request's body.
 */
function issuesOf(error: unknown): Issue[] | undefined {
  const issues = isHarkError(error) && "issues" in error ? (error.issues as readonly Issue[] | undefined) : undefined;
  return issues?.slice(0, 20).map(({ message, path }) => ({
    message: storableText(message, 300),
    path: path.slice(0, 64).map((step) => (typeof step === "string" ? storableText(step, 100) : step)),
  }));
}

/**
 * Returns the code of an error of PostgreSQL or of the connection to it, through up to five
 * wrappers. Errors that pg raises itself have no code, only messages.
 */
function databaseFault(
  error: unknown,
): "DATABASE_UNREACHABLE" | "DATABASE_TIMEOUT" | "SCHEMA_VERSION" | "DATABASE_FORBIDS" | undefined {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth += 1) {
    if (isCancelled(cause)) return "DATABASE_TIMEOUT";
    if (isPermissionDenied(cause)) return "DATABASE_FORBIDS";
    if (isUnreachable(cause) || isReadOnly(cause)) return "DATABASE_UNREACHABLE";
    if (isSchemaMissing(cause) || isDatabaseMissing(cause)) return "SCHEMA_VERSION";
    if (cause.message === "Query read timeout") return "DATABASE_TIMEOUT";
    if (
      /^(Connection terminated|Client has encountered a connection error|timeout exceeded when trying to connect|Cannot use a pool after)/.test(
        cause.message,
      )
    ) {
      return "DATABASE_UNREACHABLE";
    }
  }
  return undefined;
}
