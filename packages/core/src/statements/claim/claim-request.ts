/** A job's place in the order of its queue. */
export interface ClaimPosition {
  readonly id: bigint;
  readonly priority: number;
}

/** What a worker asks for when it claims. */
export interface ClaimRequest {
  readonly queue: string;
  readonly limit: number;
  /** The claiming process's identity; a dead one claims nothing. */
  readonly worker: string;
  /**
   * New for every claim, so that no two claims of a job share one: proof of ownership for every
   * later write.
   */
  readonly token: string;
  /** Only jobs of these types: those the worker has handlers for. */
  readonly types: readonly string[];
  /**
   * Only jobs with a higher id and at least this priority: a claim that starts behind the rows
   * which former claims left dead asks for these. Without it the claim looks at the whole queue.
   */
  readonly after?: ClaimPosition | undefined;
  /**
   * Do not wait for the disk if only plain jobs are found. The caller must confirm an answer with
   * `isDeferred`, see confirm-claims.ts. A claim that also settles waits in any case. Not for a
   * transaction of the caller's, which would not wait either.
   */
  readonly mayDefer?: boolean;
  /** Other claims may take the same keys at the same moment. Costs more for each job with a key. */
  readonly isContended?: boolean;
  /** Many ready jobs at the head may not run now, since their keys run. */
  readonly isHindered?: boolean;
}

/**
 * The request as the three statements take it; `after` in two parts, which say "the whole queue"
 * without it.
 */
export interface ClaimParameters extends Omit<ClaimRequest, "after" | "mayDefer" | "isContended" | "isHindered"> {
  readonly leastPriority: number;
  readonly afterId: bigint;
}

/** $1 to $7 of all three statements. */
export const claimParameters = ["queue", "limit", "worker", "token", "types", "leastPriority", "afterId"] as const;

/** What a claim returns. Every row has the same columns, and `kind` says which of them count. */
export type ClaimRow =
  | {
      readonly kind: "job";
      readonly id: unknown;
      readonly type: string;
      readonly payload: unknown;
      readonly priority: number;
      readonly attempt: number;
      readonly max_attempts: number;
      readonly crash_count: number;
      readonly key: string | null;
      readonly hands_off: boolean;
    }
  /** A key that is running while ready jobs of it wait. */
  | { readonly kind: "blocked"; readonly key: string }
  /** Other workers live, whichever queues they work. */
  | { readonly kind: "others" }
  /** Only the first of the ready jobs were looked at, and others may stand behind them. */
  | { readonly kind: "more" }
  /** A job that was to be settled, but whose own claim no longer held. */
  | { readonly kind: "refused"; readonly id: unknown }
  /** Some of the most urgent jobs are not plain, so nothing was claimed. */
  | { readonly kind: "not plain" };
