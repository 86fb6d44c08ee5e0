import type { Database } from "@hark/core";
import { statements } from "@hark/core/internal";
import { behindLastOfType, ClaimCursor } from "./claim-cursor.ts";
import { HeadWatch } from "./head-watch.ts";

/**
 * Claims of each type by itself, for a queue whose head is crowded by jobs that this worker does
 * not run (docs/decisions/0031). They carry no outcomes: such claims are few.
 */
export class ClaimsByType {
  readonly head: HeadWatch = new HeadWatch();
  readonly #claimDb: Database;
  readonly #request: Pick<statements.ClaimRequest, "queue" | "types">;
  readonly #cursor = new ClaimCursor(behindLastOfType);
  #found = 0;

  constructor(claimDb: Database, request: Pick<statements.ClaimRequest, "queue" | "types">) {
    this.#claimDb = claimDb;
    this.#request = request;
  }

  /** True if a second claim at the same time would only slow down the first. */
  get isBestAlone(): boolean {
    return this.#cursor.isScanSlow;
  }

  /** Looks whether the head of the queue is crowded, if it is time. */
  async look(): Promise<void> {
    if (!this.head.isDue(performance.now())) return;
    const [head] = await statements.surveyHead(this.#claimDb, this.#request);
    this.head.looked(head!, performance.now());
  }

  async claim(
    claim: Pick<statements.ClaimRequest, "worker" | "token" | "limit" | "mayDefer">,
  ): Promise<statements.ClaimAnswer> {
    const { after } = this.#cursor;
    const startedAt = performance.now();
    const answer = await statements.claimJobsByType(this.#claimDb, { ...claim, ...this.#request, after });
    this.#cursor.move({ ...claim, after, jobs: answer.jobs, startedAt, endedAt: performance.now() });
    return { ...answer, mayHideMore: answer.mayHideMore || after !== undefined };
  }

  /**
   * How many jobs to report as found. A claim by types that found some may have left others, and
   * another follows. The one that has seen all tells what they have found together, or their
   * wake-up would seem spurious.
   */
  sum(found: number, isAll: boolean): number {
    this.#found += found;
    if (!isAll) return found;
    const sum = this.#found;
    this.#found = 0;
    return sum;
  }
}
