import { performance } from "node:perf_hooks";

/** One request as the server saw it. */
export interface LoggedRequest {
  /** As it was requested: nothing is made canonical, so that a crawler's mistakes show. */
  url: string;
  /** When it came, in ms since 1970, with fractions. */
  at: number;
  /**
   * When the response was sent, or the client closed the connection; null while the request runs.
   */
  endedAt: number | null;
  /** Null while it runs, and also afterwards if the client closed the connection first. */
  status: number | null;
  /** How long a 503 asked to wait, in ms. */
  retryAfterMs?: number;
}

/** The requests that a server got, live. They show whether a crawler is polite. */
export class RequestLog {
  readonly entries: LoggedRequest[] = [];
  readonly #runningByUrl = new Map<string, number>();
  readonly #peakByUrl = new Map<string, number>();

  /** Records a request that has come. `end` records its status, or null if the client gave up. */
  begin(url: string): { entry: LoggedRequest; end: (status: number | null) => void } {
    const entry: LoggedRequest = { url, at: nowMs(), endedAt: null, status: null };
    this.entries.push(entry);
    const running = (this.#runningByUrl.get(url) ?? 0) + 1;
    this.#runningByUrl.set(url, running);
    this.#peakByUrl.set(url, Math.max(running, this.#peakByUrl.get(url) ?? 0));
    return {
      entry,
      end: (status) => {
        if (entry.endedAt !== null) return;
        entry.endedAt = nowMs();
        entry.status = status;
        this.#runningByUrl.set(url, (this.#runningByUrl.get(url) ?? 1) - 1);
      },
    };
  }

  /** How often each URL was requested. */
  counts(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { url } of this.entries) counts.set(url, (counts.get(url) ?? 0) + 1);
    return counts;
  }

  /** The most requests for one URL that ran at the same time. */
  get maxConcurrentPerUrl(): number {
    return Math.max(0, ...this.#peakByUrl.values());
  }

  /** The shortest time between two requests in ms, or Infinity with fewer than two. */
  get smallestGapMs(): number {
    return this.entries.reduce((smallest, { at }, index) => {
      const before = this.entries[index - 1];
      return before ? Math.min(smallest, at - before.at) : smallest;
    }, Infinity);
  }
}

function nowMs(): number {
  return performance.timeOrigin + performance.now();
}
