import {
  codeOf,
  isDatabaseMissing,
  isLoginRefused,
  isPermissionDenied,
  isSchemaMissing,
  isUnreachable,
} from "@hark/core/sqlstate";
import { UsageError } from "./usage-error.ts";

/** Exit codes of the process. */
export const exitCodes = {
  ok: 0,
  /** A check failed, something is pending or missing, or a job failed. */
  finding: 1,
  /** The command line, its input or a module it names is wrong. */
  usage: 2,
  cannotConnect: 3,
  /** The schema is missing, too old, too new, or was changed. */
  schema: 4,
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export const exitCodeHelp = `Exit codes:
  0    ok
  1    a finding (a failed check, a pending migration, nothing to requeue) or a failed job
  2    wrong usage (command line, payload or module), or Node is too old
  3    cannot connect to the database
  4    Hark's schema is missing, too old, too new, or was changed
  130  interrupted by Ctrl-C (SIGINT)`;

/**
 * Exit codes by the codes of Hark's errors. Classes would not do: a module of the user may bring
 * another copy of them, and the error about a wrong command line should not have to wait until core
 * is loaded.
 */
const codesOfHark: Readonly<Record<string, ExitCode>> = {
  DATABASE_UNREACHABLE: exitCodes.cannotConnect,
  SCHEMA_VERSION: exitCodes.schema,
  SCHEMA_WITHOUT_LEDGER: exitCodes.schema,
  INVALID_NAME: exitCodes.usage,
  INVALID_OPTIONS: exitCodes.usage,
  INVALID_PAYLOAD: exitCodes.usage,
  PAYLOAD_TOO_LARGE: exitCodes.usage,
  UNKNOWN_JOB_TYPE: exitCodes.usage,
};

/**
 * Returns the error to show: in a chain of causes, the first error of Hark, or else the innermost.
 */
export function rootOf(error: unknown): unknown {
  let root = error;
  while (!isOfHark(root) && root instanceof Error && root.cause instanceof Error) root = root.cause;
  return root;
}

function isOfHark(error: unknown): error is Error & { code: string } {
  return error instanceof Error && "facts" in error && "code" in error && typeof error.code === "string";
}

/**
 * Returns the exit code and one line for an error that ended a command. The line never holds SQL,
 * parameters or a stack.
 */
export function verdictOn(error: unknown): { code: ExitCode; message: string } {
  const root = rootOf(error);
  if (root instanceof UsageError) return { code: exitCodes.usage, message: root.message };
  if (isOfHark(root)) return { code: codesOfHark[root.code] ?? exitCodes.finding, message: root.message };
  if (!(root instanceof Error)) return { code: exitCodes.finding, message: `something failed: ${String(root)}` };

  const said = root.message || codeOf(root) || root.name;
  const isRefused = isUnreachable(root) || isLoginRefused(root) || isDatabaseMissing(root);
  if (isRefused || /timeout|terminated/i.test(root.message)) {
    return { code: exitCodes.cannotConnect, message: `The database cannot be reached: ${said}.` };
  }
  if (isSchemaMissing(root)) {
    return {
      code: exitCodes.schema,
      message: `The database's Hark schema is not what this code expects (${said}). Run "hark migrate".`,
    };
  }
  if (isPermissionDenied(root)) {
    return { code: exitCodes.finding, message: `${said}. Run "hark doctor" to see which rights this role lacks.` };
  }
  return { code: exitCodes.finding, message: said };
}
