import type { Queryable } from "@hark/core";
import { checkName, InvalidOptionsError, QueueFullError, quote, statements } from "@hark/core/internal";

/**
 * Most ready jobs that may wait in a queue: one number for every queue, or a number by queue. Other
 * queues have no limit.
 */
export type MaxDepth = number | Readonly<Record<string, number>>;

/**
 * A count is reused for at least `leastFreshMs`, and for `timesTaken` times as long as it took, so
 * that counting costs at most 1/20.
 */
const leastFreshMs = 100;
const timesTaken = 20;

/** A count of ready jobs, and how many this producer has added since. */
interface Count {
  readonly depth: number;
  readonly goodUntil: number;
  added: number;
}

/**
 * Refuses jobs for a full queue (SEC-22). It counts now and then, and adds its own inserts in
 * between. The limit is not exact: jobs that other producers insert in between are not counted.
 */
export class DepthLimit {
  readonly #limits: MaxDepth;
  readonly #counts = new Map<string, Promise<Count>>();

  /** Throws InvalidOptionsError unless every limit is an integer from 1 to 10 million. */
  constructor(limits: MaxDepth) {
    if (typeof limits !== "number" && (typeof limits !== "object" || limits === null)) {
      const message = "must be a number, or numbers by queue such as { email: 1000 }";
      throw new InvalidOptionsError("createProducer", [{ path: ["maxDepth"], message }]);
    }
    const byQueue = typeof limits === "number" ? { "*": limits } : limits;
    for (const [queue, limit] of Object.entries(byQueue)) {
      if (queue !== "*") checkName("queue", queue);
      if (!Number.isInteger(limit) || limit < 1 || limit > 10_000_000) {
        const message = `must be an integer from 1 to 10000000, not ${quote(limit)}`;
        throw new InvalidOptionsError("createProducer", [{ path: ["maxDepth", queue], message }]);
      }
    }
    this.#limits = limits;
  }

  /**
   * Throws QueueFullError if one of the queues has no room for its jobs. Jobs for later do not
   * count.
   */
  async admit(queryable: Queryable, jobs: readonly statements.NewJob[]): Promise<void> {
    const wanted = new Map<string, number>();
    for (const { queue, runAt, delayMs } of jobs) {
      const isLater = (delayMs ?? 0) > 0 || (runAt !== undefined && runAt.getTime() > Date.now());
      if (!isLater && this.#limitOf(queue) !== undefined) wanted.set(queue, (wanted.get(queue) ?? 0) + 1);
    }
    const counts = await Promise.all([...wanted.keys()].map((queue) => this.#count(queryable, queue)));
    for (const [place, [queue, more]] of [...wanted].entries()) {
      const { depth, added } = counts[place]!;
      const limit = this.#limitOf(queue)!;
      if (depth + added + more > limit) throw new QueueFullError(queue, depth + added, limit);
    }
    for (const [place, more] of [...wanted.values()].entries()) counts[place]!.added += more;
  }

  #limitOf(queue: string): number | undefined {
    return typeof this.#limits === "number" ? this.#limits : (this.#limits[queue] ?? this.#limits["*"]);
  }

  /** Returns a fresh count. All callers share one query for each queue. */
  async #count(queryable: Queryable, queue: string): Promise<Count> {
    const known = this.#counts.get(queue);
    const count = known && (await known.catch(() => undefined));
    if (count && performance.now() < count.goodUntil) return count;
    const newer = this.#counts.get(queue);
    if (newer && newer !== known) return newer; // another caller has asked in the meantime
    const asked = this.#ask(queryable, queue);
    this.#counts.set(queue, asked);
    return asked;
  }

  async #ask(queryable: Queryable, queue: string): Promise<Count> {
    const askedAt = performance.now();
    const [found] = await statements.queueDepth(queryable, { queue, upTo: this.#limitOf(queue)! });
    const now = performance.now();
    return { depth: found!.depth, added: 0, goodUntil: now + Math.max(leastFreshMs, timesTaken * (now - askedAt)) };
  }
}
