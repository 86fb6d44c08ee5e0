import {
  type Database,
  type DeadJob,
  type DeadReason,
  InvalidOptionsError,
  listDeadJobs,
  requeueDeadJob,
} from "@hark/core";
import { deadJobIdAt } from "@hark/core/internal";
import { isJobId, shown } from "./check.ts";
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
  /** The last error, with its stack and causes. */
  readonly error: string;
  readonly failed_at: Date;
  readonly created_at: Date;
}

/** Names a dead letter by its place in the list, oldest first, or by its job's id. */
export type DeadLetterChoice = { readonly index: number } | { readonly id: string };

/** Most dead letters in a list, and so the bound of an index. It is core's own limit. */
export const mostListed = 200;

/** Lists the oldest dead letters first. */
export async function deadLetters(
  database: Database,
  options: { limit: number; withPayload?: boolean },
): Promise<DeadLetterJob[]> {
  return (await listDeadJobs(database, options)).map(deadLetter);
}

/** Checks the argument of JobManager.requeueDeadLetterJob: an index (a number) or an id (text). */
export function checkChoice(indexOrId: number | string): DeadLetterChoice {
  return typeof indexOrId === "number" ? { index: checkIndex(indexOrId) } : { id: checkId(indexOrId) };
}

/**
 * Makes one dead letter ready again, with its attempts counted from zero.
 * @throws DeadLetterNotFoundError, UniqueKeyTakenError
 */
export async function requeue(database: Database, wanted: DeadLetterChoice): Promise<{ id: string; type: string }> {
  const id = "id" in wanted ? BigInt(wanted.id) : await deadJobIdAt(database, wanted.index);
  const found = id === undefined ? undefined : await requeueDeadJob(database, id);
  if (!found) throw new DeadLetterNotFoundError(wanted);
  if (!found.isRequeued) throw new UniqueKeyTakenError(String(found.id));
  return { id: String(found.id), type: found.type };
}

function checkIndex(index: number): number {
  if (Number.isInteger(index) && index >= 0 && index < mostListed) return index;
  return refuse(`an index must be a whole number from 0 to ${mostListed - 1}, not ${index}: requeue later ones by id`);
}

function checkId(id: unknown): string {
  if (isJobId(id)) return id;
  return refuse(`must be an index (a number) or a job's id (text), not ${shown(id)}`);
}

function refuse(message: string): never {
  throw new InvalidOptionsError("requeueDeadLetterJob", [{ path: [], message }]);
}

function deadLetter(job: DeadJob): DeadLetterJob {
  const payload = isObject(job.payload) ? job.payload : {};
  return {
    id: String(job.id),
    type: job.type,
    target_url: typeof payload.target_url === "string" ? payload.target_url : null,
    priority: job.priority,
    metadata: isObject(payload.metadata) ? payload.metadata : {},
    attempts: job.attempt,
    max_attempts: job.maxAttempts,
    reason: job.reason,
    error: job.error,
    failed_at: job.finishedAt,
    created_at: job.createdAt,
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
