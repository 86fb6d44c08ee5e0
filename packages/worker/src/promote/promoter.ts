import type { Database, Logger, Notifications } from "@hark/core";
import { channels, jitter, longestPromoteMs, type statements } from "@hark/core/internal";
import { Loop, type Next } from "../runtime/loop.ts";
import type { Part } from "../runtime/part.ts";
import { Announcements } from "../wake/announcements.ts";
import { DueJobs } from "./due-jobs.ts";

/** Due jobs promoted in one statement. */
const batchSize = 1_000;

/** Least pause while a due job is locked, in ms. Another promoter is making it ready. */
const leastRestMs = 5;

/**
 * A look at all scheduled jobs that took this long, in ms, had many rows to promote, or to step
 * over many that an old snapshot keeps. The next looks then start where it ended.
 */
const slowLookMs = 5;

/**
 * Share of the time that goes into looking at all of them meanwhile, for jobs that committed after
 * their time.
 */
const wholeLookShare = 0.1;

/**
 * Makes due jobs ready, by updating their run_at. Sleeps until the earliest is due, at most a few
 * seconds. Wakes when an earlier job is scheduled that would otherwise be late. Every worker has a
 * promoter. They skip each other's rows, so any number may run, and they need no leader.
 */
export class Promoter implements Part {
  readonly #due: DueJobs;
  readonly #notifications: Notifications;
  readonly #loop: Loop;
  readonly #pollMs: number;
  /**
   * When the sleep ends, in epoch ms by the database's clock; what is due later than that needs no
   * waking.
   */
  #wakesAtMs = Number.POSITIVE_INFINITY;
  /**
   * The last look left no job that was due before this moment, in epoch ms by the database's clock.
   */
  #cursorMs = Number.NEGATIVE_INFINITY;
  /** When to look at all scheduled jobs again despite the cursor, in ms of the process clock. */
  #wholeLookAt = 0;
  readonly #announcements = new Announcements();
  #stopListening: (() => void) | undefined;

  constructor(parts: { db: Database; notifications: Notifications; pollMs: number; logger: Logger }) {
    this.#due = new DueJobs(parts);
    this.#notifications = parts.notifications;
    const restMs = (this.#pollMs = Math.min(parts.pollMs, longestPromoteMs)); // jobs due later are not announced
    this.#loop = new Loop({ name: "promote", restMs, logger: parts.logger, step: (signal) => this.#step(signal) });
  }

  start(): void {
    this.#stopListening = this.#notifications.on(channels.jobScheduled, (dueAtMs) => {
      // A forged or invalid payload is not a number, and at worst causes one needless look.
      if (dueAtMs === undefined || !(Number(dueAtMs) >= this.#cursorMs)) this.#wholeLookAt = 0; // committed late, or missed
      if (dueAtMs !== undefined && Number(dueAtMs) >= this.#wakesAtMs) return;
      this.#announcements.heard(dueAtMs, this.#loop);
    });
    this.#loop.start();
  }

  async stop(): Promise<void> {
    this.#stopListening?.();
    await this.#loop.stop();
  }

  async #step(signal: AbortSignal): Promise<Next> {
    await this.#announcements.pause(signal);
    this.#wakesAtMs = Number.POSITIVE_INFINITY; // until the answer is known, every notification counts
    const isWhole = performance.now() >= this.#wholeLookAt;
    const { promoted, nextDueInMs, nextDueAtMs } = await this.#look(isWhole, signal);
    if (promoted === batchSize) return "again";

    let restMs = jitter(this.#pollMs);
    if (nextDueInMs !== undefined && nextDueAtMs !== undefined) {
      this.#wakesAtMs = nextDueAtMs;
      const untilDueMs = nextDueInMs <= 0 && promoted === 0 ? leastRestMs : Math.max(Math.ceil(nextDueInMs), 1);
      restMs = Math.min(restMs, untilDueMs);
    }
    // Jobs behind the cursor must not wait for the interval.
    return { restMs: isWhole ? restMs : Math.min(restMs, Math.max(this.#wholeLookAt - performance.now(), 1)) };
  }

  /** Promotes one batch: of all that is due, or of what is due from the cursor on. */
  async #look(isWhole: boolean, signal: AbortSignal): Promise<statements.Promotion> {
    const askedAt = performance.now();
    if (isWhole) this.#wholeLookAt = Number.POSITIVE_INFINITY; // a notification during the look may ask for another
    let isSlow = true;
    try {
      const afterMs = isWhole ? Number.NEGATIVE_INFINITY : this.#cursorMs;
      const promotion = await this.#due.promote({ limit: batchSize, afterMs }, signal);
      isSlow = performance.now() - askedAt >= slowLookMs;
      this.#cursorMs = Math.min(promotion.lookedAtMs, promotion.nextDueAtMs ?? Number.POSITIVE_INFINITY);
      return promotion;
    } finally {
      if (isWhole && this.#wholeLookAt > 0)
        this.#wholeLookAt = isSlow ? askedAt + (performance.now() - askedAt) / wholeLookShare : 0;
    }
  }
}
