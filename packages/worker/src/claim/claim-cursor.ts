import type { statements } from "@hark/core/internal";

/**
 * A full scan that took this long, in ms, had to step over dead rows that cannot be vacuumed, for
 * example because of an old snapshot. The next claims then start behind the last one.
 */
const slowScanMs = 5;

/**
 * From a full scan that took this long, in ms, on there is one claim at a time. It steps over rows
 * that cannot be cleared away, and a second claim would step over them once more.
 */
const aloneFromMs = 100;

/**
 * How often to scan the full queue meanwhile, for jobs with older ids that became ready again, such
 * as retries. Dead rows make a scan slower, so scans take 0.01 of the time. They come at least
 * every 2 s, unless that would take more than 0.1 of the time. While more than a batch of other
 * jobs is always ready, such a job starts that much later. Measured, last fifth : first fifth of 12
 * s under an old snapshot (pnpm bench pinned:snapshot, scans of 30 to 70 ms): 0.93 with 0.1
 * throughout, 0.97 with 2 s, 0.99 with 5 s.
 */
const fullScan = { share: 0.01, everyMs: 2_000, mostShare: 0.1 };

/** How a claim went, with its times in ms of the process clock. */
export interface ClaimMade<Position> {
  readonly limit: number;
  readonly after?: Position | undefined;
  readonly jobs: readonly statements.ClaimedJob[];
  readonly startedAt: number;
  readonly endedAt: number;
}

/**
 * Where the next claim of a queue starts: behind the last claimed job while full scans are slow, so
 * that no claim steps over the dead rows of all former claims (FM-42).
 */
export class ClaimCursor<Position> {
  readonly #behind: (jobs: readonly statements.ClaimedJob[], after: Position | undefined) => Position;
  #after: Position | undefined;
  #isScanSlow = false;
  #fullScanDueAt = 0;

  /** `behind` tells where a claim starts that follows one which found these jobs. */
  constructor(behind: (jobs: readonly statements.ClaimedJob[], after: Position | undefined) => Position) {
    this.#behind = behind;
  }

  /** The next claim asks for jobs behind this only; undefined if it scans the full queue. */
  get after(): Position | undefined {
    return this.#after;
  }

  /** True if the last full scan took so long that a parallel claim would only slow it down. */
  get isScanSlow(): boolean {
    return this.#isScanSlow;
  }

  /** Moves on after a claim. */
  move({ limit, after, jobs, startedAt, endedAt }: ClaimMade<Position>): void {
    if (jobs.length < limit) this.#after = undefined;
    else if (after) this.#after = endedAt < this.#fullScanDueAt ? this.#behind(jobs, after) : undefined;
    else {
      const tookMs = endedAt - startedAt;
      this.#isScanSlow = tookMs >= aloneFromMs;
      this.#after = tookMs >= slowScanMs ? this.#behind(jobs, undefined) : undefined;
      this.#fullScanDueAt = startedAt + fullScanEveryMs(tookMs);
    }
  }
}

/** Behind the last of these jobs. */
export const behindLast = (jobs: readonly statements.ClaimedJob[]): statements.ClaimPosition => jobs.at(-1)!;

/** Behind the last of each type, for claims by types. */
export const behindLastOfType = (
  jobs: readonly statements.ClaimedJob[],
  after: statements.ClaimPositions | undefined,
): statements.ClaimPositions =>
  new Map([...(after ?? []), ...jobs.map(({ type, id, priority }) => [type, { id, priority }] as const)]);

/** From the start of a full scan that took `tookMs` to the start of the next, in ms. */
export function fullScanEveryMs(tookMs: number): number {
  return Math.min(tookMs / fullScan.share, Math.max(fullScan.everyMs, tookMs / fullScan.mostShare));
}
