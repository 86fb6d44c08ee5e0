import { InvalidOptionsError, type statements } from "@hark/core";
import { z } from "zod";
import { shown } from "../check.ts";
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
   * Aborted, with the error as its reason, when the lease was lost, and when the job was cancelled if the queue listens by then
   * (something of it has waited once).
   */
  readonly signal: AbortSignal;
}

interface Held {
  readonly job: statements.ClaimedJob;
  readonly controller: AbortController;
  /** A call to settle it ended without an answer, so it may have been settled then. */
  isDoubtful: boolean;
}

/** The jobs that were dequeued here and not settled yet, by claim. */
export class HeldJobs {
  /** Tokens of claims that may still be answered. */
  readonly awaited = new Set<string>();
  readonly #held = new Map<string, Held>();

  add(job: statements.ClaimedJob): Held {
    const held = { job, controller: new AbortController(), isDoubtful: false };
    this.#held.set(keyOf(job), held);
    return held;
  }

  get(claim: statements.Claim): Held | undefined {
    return this.#held.get(keyOf(claim));
  }

  drop(claim: statements.Claim): void {
    this.#held.delete(keyOf(claim));
  }

  all(): statements.ClaimedJob[] {
    return [...this.#held.values()].map(({ job }) => job);
  }

  /** Tells who works on the jobs, or on the one with an id, why to stop. */
  abort(why: (job: statements.ClaimedJob) => Error, id?: bigint): void {
    for (const { job, controller } of this.#held.values()) {
      if (id === undefined || job.id === id) controller.abort(why(job));
    }
  }
}

const keyOf = ({ id, token }: statements.Claim) => `${id} ${token}`;

const uuid = z.uuid();

/** True for the form that tokens of claims and locks have. PostgreSQL raises an error for any other. */
export function isToken(token: unknown): token is string {
  return uuid.safeParse(token).success;
}

/** Answers the claim that a reference means; throws {@link InvalidOptionsError} for what can be none. */
export function claimOf(method: string, reference: ClaimReference): statements.Claim {
  const { id, token } = (reference ?? {}) as Partial<ClaimReference>;
  const issues = [];
  if (!/^[1-9]\d{0,18}$/.test(String(id)))
    issues.push({ path: ["id"], message: `must be a job's id, not ${shown(id)}` });
  if (!isToken(token))
    issues.push({ path: ["token"], message: `must be the token that dequeue() gave, not ${shown(token)}` });
  if (issues.length) throw new InvalidOptionsError(method, issues);
  return { id: BigInt(id!), token: token!.toLowerCase() };
}
