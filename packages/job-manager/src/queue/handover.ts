import type { Outcome } from "@hark/core";
import { isHarkError, type statements } from "@hark/core/internal";
import type { JobContext } from "@hark/worker";
import { AttemptEnd, interrupted, type Slots, type WorkerParts } from "@hark/worker/internal";
import type { UrlPayload } from "../define-url-job.ts";
import { viewOf } from "../url-job.ts";
import type { DequeuedJob } from "./dequeued-job.ts";

/** A slot that a caller has opened. */
export interface OpenSlot {
  readonly job: Promise<DequeuedJob>;
  /** Closes the slot. Returns false if a job was already handed over. */
  close(): boolean;
}

/** A job that a caller has. */
interface InHand {
  readonly claim: statements.Claim;
  /** The caller's verdict: a result resolves it, an error rejects it. */
  readonly verdict: PromiseWithResolvers<unknown>;
  /** The written outcome, or "refused" if the claim no longer held. */
  readonly settlement: PromiseWithResolvers<Outcome | "refused">;
  isDecided: boolean;
}

/**
 * Hands jobs from a worker's attempts to callers who run them. A waiting caller opens a slot. The
 * handler of the next job gives the job to that caller, and ends with the caller's verdict. Then
 * the slot closes.
 */
export class Handover {
  readonly #waiting = new Set<(job: DequeuedJob) => void>();
  readonly #inHand = new Map<string, InHand>();
  #undecided = 0;
  #slots: Pick<Slots, "resize"> | undefined;

  /**
   * Closes all slots. From then on, calls `onOutcome` for every written or refused outcome, and
   * says whether a caller had the job.
   */
  connect(slots: Pick<Slots, "resize">, events: WorkerParts["events"], onOutcome: (wasInHand: boolean) => void): void {
    this.#slots = slots;
    this.#resize();
    const settled = (claim: statements.Claim, outcome: Outcome | "refused") => {
      const inHand = this.#inHand.get(keyOf(claim));
      if (inHand) {
        this.#inHand.delete(keyOf(claim));
        this.#decide(inHand, new AttemptEnd(interrupted)); // if its attempt ended without the caller
        inHand.settlement.resolve(outcome);
      }
      onOutcome(inHand !== undefined);
    };
    events.on("settled", settled);
    events.on("refused", (job) => settled(job, "refused"));
  }

  /** Jobs that callers have and that are not settled. */
  get inHand(): number {
    return this.#inHand.size;
  }

  open(): OpenSlot {
    const { promise, resolve } = Promise.withResolvers<DequeuedJob>();
    this.#waiting.add(resolve);
    this.#resize();
    const close = () => {
      const isWaiting = this.#waiting.delete(resolve);
      if (isWaiting) this.#resize();
      return isWaiting;
    };
    return { job: promise, close };
  }

  /** The handler of every job type. */
  readonly run = (context: JobContext<UrlPayload>): Promise<unknown> => {
    const [caller] = this.#waiting;
    if (!caller) throw new AttemptEnd(interrupted); // the caller stopped waiting while the job was on its way
    const { id, token, signal } = context;
    const inHand: InHand = {
      claim: { id, token },
      verdict: Promise.withResolvers(),
      settlement: Promise.withResolvers(),
      isDecided: false,
    };
    const abort = () => {
      // After a lost lease the caller may still settle the job, until another worker claims it.
      if (!isHarkError(signal.reason, "LEASE_LOST")) this.#decide(inHand, signal.reason as Error);
    };
    signal.addEventListener("abort", abort, { once: true });
    this.#waiting.delete(caller);
    this.#undecided += 1;
    this.#inHand.set(keyOf(context), inHand);
    caller({ ...viewOf(context, context.payload), token, signal });
    return inHand.verdict.promise;
  };

  /** Returns the latest claim of a job that a caller has here. */
  claimOf(jobId: bigint): statements.Claim | undefined {
    return [...this.#inHand.values()].findLast(({ claim }) => claim.id === jobId)?.claim;
  }

  /**
   * Ends the attempt of a claim with the caller's verdict. Returns a promise of the written
   * outcome, or undefined if no caller here has the claim.
   */
  end(claim: statements.Claim, verdict: { result: unknown } | AttemptEnd): Promise<Outcome | "refused"> | undefined {
    const inHand = this.#inHand.get(keyOf(claim));
    if (!inHand || inHand.isDecided) return undefined;
    this.#decide(inHand, verdict);
    return inHand.settlement.promise;
  }

  /**
   * Hands back all jobs that callers have not settled. They return to the queue, and their attempts
   * do not count.
   */
  release(): void {
    for (const inHand of this.#inHand.values()) this.#decide(inHand, new AttemptEnd(interrupted));
  }

  #decide(inHand: InHand, verdict: { result: unknown } | Error): void {
    if (inHand.isDecided) return;
    inHand.isDecided = true;
    this.#undecided -= 1;
    this.#resize();
    if (verdict instanceof Error) inHand.verdict.reject(verdict);
    else inHand.verdict.resolve(verdict.result);
  }

  #resize(): void {
    this.#slots?.resize(this.#waiting.size + this.#undecided);
  }
}

const keyOf = ({ id, token }: statements.Claim) => `${id} ${token}`;
