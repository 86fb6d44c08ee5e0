import { InvalidOptionsError, type statements } from "@hark/core";
import { z } from "zod";
import { isJobId, shown } from "../check.ts";
import type { UrlJobView } from "../url-job.ts";

/** What settles a job: the dequeued job itself, or what was kept of it. */
export interface ClaimReference {
  readonly id: string;
  readonly token: string;
}

/** A job claimed by PostgresQueue.dequeue(). */
export interface DequeuedJob extends UrlJobView, ClaimReference {
  /** Proof of this claim: only its bearer settles the job. */
  readonly token: string;
  /**
   * Aborted, with the error as its reason, when the job was cancelled and when the lease was lost:
   * others may run it then.
   */
  readonly signal: AbortSignal;
}

const uuid = z.uuid();

/**
 * True for the form that tokens of claims and locks have. PostgreSQL raises an error for any other.
 */
export function isToken(token: unknown): token is string {
  return uuid.safeParse(token).success;
}

/**
 * Returns the claim that a reference means; throws {@link InvalidOptionsError} if it can mean none.
 */
export function claimOf(method: string, reference: ClaimReference): statements.Claim {
  const { id, token } = (reference ?? {}) as Partial<ClaimReference>;
  const issues = [];
  if (!isJobId(String(id))) issues.push({ path: ["id"], message: `must be a job's id, not ${shown(id)}` });
  if (!isToken(token))
    issues.push({ path: ["token"], message: `must be the token that dequeue() gave, not ${shown(token)}` });
  if (issues.length) throw new InvalidOptionsError(method, issues);
  return { id: BigInt(id!), token: token!.toLowerCase() };
}
