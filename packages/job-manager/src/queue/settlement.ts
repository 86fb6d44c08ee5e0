import {
  type Database,
  type DeadReason,
  decideOutcome,
  defaultBackoff,
  type Ending,
  getJob,
  InvalidOptionsError,
  JobCancelledError,
  type JobDetails,
  jsonIssues,
  LeaseLostError,
  limits,
  type Outcome,
  RetryAfterError,
  RetryBudget,
  SnoozeError,
  statements,
  UnrecoverableError,
} from "@hark/core";
import type { UrlJob } from "../define-url-job.ts";
import type { HeldJobs } from "./held-jobs.ts";

/** What became of a job whose attempt failed. `delay` is in ms; `attempts` are those that count from now on. */
export type FailedJob =
  | { readonly state: "scheduled"; readonly delay: number; readonly attempts: number }
  | { readonly state: "dead"; readonly reason: DeadReason };

type Tried = Pick<JobDetails, "id" | "type" | "attempt" | "maxAttempts" | "crashCount">;

/** Writes how dequeued jobs ended, fenced by their tokens: a claim that no longer holds is an error, never silence. */
export class Settlement {
  readonly #db: Database;
  readonly #held: HeldJobs;
  readonly #jobs: readonly UrlJob[];
  readonly #retries = new RetryBudget();

  constructor(parts: { db: Database; held: HeldJobs; jobs: readonly UrlJob[] }) {
    this.#db = parts.db;
    this.#held = parts.held;
    this.#jobs = parts.jobs;
  }

  async complete(claim: statements.Claim, result: unknown): Promise<void> {
    const resultJson = checkResult(result);
    await this.#write(claim, () =>
      statements.completeJobs(this.#db, statements.completionsOf([{ ...claim, resultJson }])),
    );
  }

  /** Decides as a worker does: the table of outcomes, with the job type's backoff and the queue's retries kept apart. */
  async fail(claim: statements.Claim, ending: Ending): Promise<FailedJob> {
    const tried = await this.#tried(claim);
    const outcome = this.#retries.spread(decideOutcome(tried, ending, this.#backoffOf(tried.type)));
    await this.#write(claim, () => this.#retryOrBury(claim, outcome));
    return outcome.state === "dead"
      ? { state: "dead", reason: outcome.reason }
      : { state: "scheduled", delay: again(outcome).delayMs, attempts: again(outcome).attempt };
  }

  /** Gives back what is held, attempts and all; answers how many jobs. */
  async handBack(): Promise<number> {
    const retried = this.#held.all().map((job) => {
      return {
        id: job.id,
        token: job.token,
        ...again(decideOutcome(job, { kind: "interrupted" }, this.#backoffOf(job.type))),
      };
    });
    if (retried.length === 0) return 0;
    return (await statements.retryJobs(this.#db, statements.retriedOf(retried))).length;
  }

  async #write(claim: statements.Claim, write: () => Promise<{ id: bigint }[]>): Promise<void> {
    const held = this.#held.get(claim);
    try {
      const moved = await write();
      // After a call that ended without an answer, a second one finds nothing left to do.
      if (moved.length === 0 && !held?.isDoubtful) throw await this.#refusal(claim);
    } catch (error) {
      if (held && isUnanswered(error)) held.isDoubtful = true;
      throw error;
    }
    this.#held.drop(claim);
  }

  #retryOrBury({ id, token }: statements.Claim, outcome: Outcome): Promise<{ id: bigint }[]> {
    if (outcome.state === "dead")
      return statements.buryJobs(this.#db, statements.buriedOf([{ id, token, ...outcome }]));
    return statements.retryJobs(this.#db, statements.retriedOf([{ id, token, ...again(outcome) }]));
  }

  /** What the outcome depends on: known of a job that is held, else read, which is safe since the write names the token. */
  async #tried(claim: statements.Claim): Promise<Tried> {
    const held = this.#held.get(claim);
    if (held) return held.job;
    const details = await getJob(this.#db, claim.id);
    if (details?.state === "running") return details;
    throw this.#refusalOf(claim, details);
  }

  async #refusal(claim: statements.Claim): Promise<LeaseLostError | JobCancelledError> {
    return this.#refusalOf(claim, await getJob(this.#db, claim.id));
  }

  #refusalOf(claim: statements.Claim, details: JobDetails | undefined): LeaseLostError | JobCancelledError {
    const known = this.#held.get(claim)?.job ?? details;
    this.#held.drop(claim);
    if (details?.state === "cancelled") return new JobCancelledError(details);
    return new LeaseLostError(known ?? { id: claim.id, type: "of no type known here", attempt: 0, maxAttempts: 0 });
  }

  #backoffOf(type: string) {
    return this.#jobs.find((job) => job.type === type)?.backoff ?? defaultBackoff;
  }
}

/** How an attempt ended, by what its caller says went wrong: the errors mean what they mean to a worker. */
export function endingOf(error: unknown, retryAfterMs: number | undefined): Ending {
  if (retryAfterMs !== undefined) return { kind: "retry_after", error, delayMs: retryAfterMs };
  if (error instanceof SnoozeError) return { kind: "snoozed", delayMs: error.delayMs };
  if (error instanceof RetryAfterError) return { kind: "retry_after", error, delayMs: error.delayMs };
  if (error instanceof UnrecoverableError) return { kind: "fatal", error, reason: "unrecoverable" };
  return { kind: "error", error };
}

/** A failed attempt ends as a retry or a dead letter, and an interrupted one as a retry. */
function again(outcome: Outcome): Extract<Outcome, { state: "scheduled" }> {
  if (outcome.state === "scheduled") return outcome;
  throw new Error(`a failed attempt cannot end as ${outcome.state}`);
}

function checkResult(result: unknown): string | null {
  if (result === undefined) return null;
  const issues = jsonIssues(result).map(({ path, message }) => ({ path: ["result", ...path], message }));
  if (issues.length > 0) throw new InvalidOptionsError("completeJob", issues);
  const text = JSON.stringify(result);
  if (Buffer.byteLength(text) <= limits.resultBytes) return text;
  throw new InvalidOptionsError("completeJob", [
    { path: ["result"], message: `has more than ${limits.resultBytes} bytes as JSON` },
  ]);
}

/** True unless PostgreSQL itself answered with an error, and so wrote nothing. */
function isUnanswered(error: unknown): boolean {
  if (error instanceof LeaseLostError || error instanceof JobCancelledError) return false;
  return !(error instanceof Error && "severity" in error);
}
