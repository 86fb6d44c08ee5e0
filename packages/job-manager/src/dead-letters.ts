import {
  type Database,
  type DeadJob,
  type DeadReason,
  deleteDeadJob,
  InvalidOptionsError,
  listDeadJobs,
  pruneDeadJobs,
  requeueDeadJob,
} from "@hark/core";
import { deadJobIdAt, escapeControls, firstLine, maskSecrets } from "@hark/core/internal";
import { z } from "zod";
import { check, isJobId, shown, wholeNumber } from "./check.ts";
import { DeadLetterNotFoundError, UniqueKeyTakenError } from "./errors.ts";

/** A job that has used up its attempts, or whose error a retry cannot fix. */
export interface DeadLetterJob {
  readonly id: string;
  readonly type: string;
  /** Null if the payload is not that of a URL job. */
  readonly target_url: string | null;
  readonly priority: number;
  readonly metadata: Record<string, unknown>;
  readonly attempts: number;
  readonly max_attempts: number;
  readonly reason: DeadReason;
  /** The message of the last error, in one line. */
  readonly last_error: string;
  /** The last error whole, with its stack and causes. */
  readonly error: string;
  readonly failed_at: Date;
  readonly created_at: Date;
}

/** Names a dead letter by its place in the list, oldest first, or by its job's id. */
export type DeadLetterChoice = { readonly index: number } | { readonly id: string };

/** Which dead letters to delete. */
export interface PruneDeadLettersOptions {
  /** Only jobs that died at least this long ago, in ms. 0 means all. */
  olderThan: number;
  /** Only this job type. Default: every type. */
  type?: string | undefined;
}

/** Most dead letters in a list, and so the bound of an index. It is core's own limit. */
export const mostListed = 200;

/** Lists the oldest dead letters first. */
export async function deadLetters(
  database: Database,
  options: { limit: number; withPayload?: boolean },
): Promise<DeadLetterJob[]> {
  return (await listDeadJobs(database, options)).map(deadLetter);
}

/** Checks how a caller names a dead letter: an index (a number) or an id (text). */
export function checkChoice(method: string, indexOrId: number | string): DeadLetterChoice {
  return typeof indexOrId === "number" ? { index: checkIndex(method, indexOrId) } : { id: checkId(method, indexOrId) };
}

/**
 * Makes one dead letter ready again, with its attempts counted from zero.
 * @throws DeadLetterNotFoundError, UniqueKeyTakenError
 */
export async function requeue(database: Database, wanted: DeadLetterChoice): Promise<{ id: string; type: string }> {
  const id = await idOf(database, wanted);
  const found = id === undefined ? undefined : await requeueDeadJob(database, id);
  if (!found) throw new DeadLetterNotFoundError(wanted);
  if (!found.isRequeued) throw new UniqueKeyTakenError(String(found.id));
  return { id: String(found.id), type: found.type };
}

/**
 * Deletes one dead letter for ever.
 * @throws DeadLetterNotFoundError
 */
export async function remove(database: Database, wanted: DeadLetterChoice): Promise<{ id: string; type: string }> {
  const id = await idOf(database, wanted);
  const deleted = id === undefined ? undefined : await deleteDeadJob(database, id);
  if (!deleted) throw new DeadLetterNotFoundError(wanted);
  return { id: String(deleted.id), type: deleted.type };
}

const pruneOptions = z.strictObject({
  olderThan: wholeNumber(0, Number.MAX_SAFE_INTEGER, "ms"),
  type: z.string({ error: "must be text" }).optional(),
});

/**
 * Deletes dead letters of an age for ever, oldest first, at most `limit`. Returns how many.
 * @throws InvalidOptionsError
 */
export async function prune(database: Database, options: PruneDeadLettersOptions, limit?: number): Promise<number> {
  const { olderThan, type } = check("pruneDeadLetterJobs", pruneOptions, options);
  return pruneDeadJobs(database, { olderThan, type, limit });
}

async function idOf(database: Database, wanted: DeadLetterChoice): Promise<bigint | undefined> {
  return "id" in wanted ? BigInt(wanted.id) : deadJobIdAt(database, wanted.index);
}

function checkIndex(method: string, index: number): number {
  if (Number.isInteger(index) && index >= 0 && index < mostListed) return index;
  return refuse(
    method,
    `an index must be a whole number from 0 to ${mostListed - 1}, not ${index}: name later ones by id`,
  );
}

function checkId(method: string, id: unknown): string {
  if (isJobId(id)) return id;
  return refuse(method, `must be an index (a number) or a job's id (text), not ${shown(id)}`);
}

function refuse(method: string, message: string): never {
  throw new InvalidOptionsError(method, [{ path: [], message }]);
}

function deadLetter(job: DeadJob): DeadLetterJob {
  const payload = isObject(job.payload) ? job.payload : {};
  return {
    id: String(job.id),
    type: job.type,
    target_url: typeof payload.target_url === "string" ? payload.target_url : null,
    priority: job.priority,
    metadata: shownMetadata(payload.metadata),
    attempts: job.attempt,
    max_attempts: job.maxAttempts,
    reason: job.reason,
    last_error: lastError(job.error),
    error: job.error,
    failed_at: job.finishedAt,
    created_at: job.createdAt,
  };
}

/** Metadata is an object, or a text that says why it is not in the list. */
function shownMetadata(metadata: unknown): Record<string, unknown> {
  if (isObject(metadata)) return metadata;
  return typeof metadata === "string" ? { note: metadata } : {};
}

/**
 * Returns the first line of an error, at most 500 characters, with secrets masked and control
 * characters escaped (SEC-25). The class is left out where it says nothing: of a plain Error, and
 * of the error that stands for `success: false`.
 */
export function lastError(error: string): string {
  const line = maskSecrets(firstLine(error).slice(0, 8_192)).replace(/^(?:Error|JobFailedError): (?=.)/, "");
  return escapeControls(line.length > 500 ? `${line.slice(0, 500).toWellFormed()}...` : line);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
