import { InvalidOptionsError } from "@hark/core";
import type { statements } from "@hark/core/internal";
import { z } from "zod";
import { isJobId, shown } from "../check.ts";
import type { UrlJobView } from "../url-job.ts";

/** Identifies a claim: the dequeued job itself, or its stored id and token. */
export interface ClaimReference {
  readonly id: string;
  readonly token: string;
}

/** A job claimed by PostgresQueue.dequeue(). */
export interface DequeuedJob extends UrlJobView, ClaimReference {
  /** Identifies this claim. Settling the job needs it. */
  readonly token: string;
  /**
   * Aborted when the job is cancelled, when the lease is lost and others may run the job, and when
   * the queue is closed while the database does not answer. Its reason is the error.
   */
  readonly signal: AbortSignal;
}

const uuid = z.uuid();

/**
 * Returns true for text in the form of a claim's or lock's token. PostgreSQL raises an error for
 * other text.
 */
export function isToken(token: unknown): token is string {
  return uuid.safeParse(token).success;
}

/** Returns an id given as text. Throws {@link InvalidOptionsError} if it is none. */
export function idOf(method: string, id: string): bigint {
  if (isJobId(id)) return BigInt(id);
  throw new InvalidOptionsError(method, [{ path: ["id"], message: `must be a job's id, not ${shown(id)}` }]);
}

/**
 * Returns the claim of a reference. Throws {@link InvalidOptionsError} if the reference is invalid.
 */
export function claimOf(method: string, reference: ClaimReference): statements.Claim {
  const { id, token } = (reference ?? {}) as Partial<ClaimReference>;
  const issues = [];
  if (!isJobId(String(id))) issues.push({ path: ["id"], message: `must be a job's id, not ${shown(id)}` });
  if (!isToken(token))
    issues.push({ path: ["token"], message: `must be the token of a dequeued job, not ${shown(token)}` });
  if (issues.length) throw new InvalidOptionsError(method, issues);
  return { id: BigInt(id!), token: token!.toLowerCase() };
}
