import {
  type Database,
  type DeadJob,
  deadJobIdAt,
  type DeadReason,
  InvalidOptionsError,
  listDeadJobs,
  requeueDeadJob,
} from "@hark/core";
import { shown } from "./check.ts";
import { DeadLetterNotFoundError, UniqueKeyTakenError } from "./errors.ts";

/** A job that is out of attempts or not worth another. As the HTTP API lists it, but with moments and the whole error. */
export interface DeadLetterJob {
  readonly id: string;
  readonly type: string;
  /** Null for a job that was not enqueued in the mission's shape. */
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

/** The most that are listed, and so the end of what an index can reach: core's own limit. */
const mostListed = 200;
const largestId = 2n ** 63n - 1n;

export async function deadLetters(database: Database, limit: number): Promise<DeadLetterJob[]> {
  return (await listDeadJobs(database, { limit })).map(deadLetter);
}

/** Makes one dead letter ready again, with all its attempts before it; see JobManager.requeueDeadLetterJob. */
export async function requeue(database: Database, indexOrId: number | string): Promise<{ id: string; type: string }> {
  const wanted = typeof indexOrId === "number" ? { index: checkIndex(indexOrId) } : { id: checkId(indexOrId) };
  const id = "id" in wanted ? BigInt(wanted.id) : await deadJobIdAt(database, wanted.index);
  const found = id === undefined ? undefined : await requeueDeadJob(database, id);
  if (!found) throw new DeadLetterNotFoundError(wanted);
  if (!found.isRequeued) throw new UniqueKeyTakenError(String(found.id));
  return { id: String(found.id), type: found.type };
}

function checkIndex(index: number): number {
  if (Number.isInteger(index) && index >= 0 && index < mostListed) return index;
  return refuse(`an index must be a whole number from 0 to ${mostListed - 1}, not ${index}: beyond it, requeue by id`);
}

function checkId(id: unknown): string {
  if (typeof id === "string" && /^[1-9]\d{0,18}$/.test(id) && BigInt(id) <= largestId) return id;
  return refuse(`wants an index (a number) or a job's id (text), not ${shown(id)}`);
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
