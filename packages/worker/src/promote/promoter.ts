import type { Database, Logger, Notifications } from "@hark/core";
import { channels, type statements } from "@hark/core/internal";
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
 * Makes due jobs ready, by updating their run_at. Sleeps until the earliest is due. If none is due
 * soon, the poll tells it when one is. Wakes when an earlier job is scheduled that would otherwise
 * be late. Every worker has a promoter. They skip each other's rows, so any number may run, and
 * they need no leader.
 */
export class Promoter implements Part {
  readonly #due: DueJobs;
  readonly #notifications: Notifications;
  readonly #loop: Loop;
  readonly #horizonMs: number;
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
  #awaitsPoll = false;
  #stopListening: (() => void) | undefined;

  constructor(parts: {
    db: Database;
    notifications: Notifications;
    /**
     * The longest time from one poll to the next, in ms: the poll tells of jobs that are due later.
     */
    horizonMs: number;
    logger: Logger;
  }) {
    this.#due = new DueJobs(parts);
    this.#notifications = parts.notifications;
    this.#horizonMs = parts.horizonMs;
    this.#loop = new Loop({ name: "promote", logger: parts.logger, step: (signal) => this.#step(signal) });
  }

  /** True while no job is due before the next poll, as far as is known. */
  get awaitsPoll(): boolean {
    return this.#awaitsPoll;
  }

  /** The poll found that the earliest scheduled job is due in so many ms. */
  dueIn(ms: number): void {
    if (this.#awaitsPoll && ms < this.#horizonMs) this.#wake();
  }

  start(): void {
    this.#stopListening = this.#notifications.on(channels.jobScheduled, (dueAtMs) => {
      // A forged or invalid payload is not a number, and at worst causes one needless look.
      if (dueAtMs === undefined || !(Number(dueAtMs) >= this.#cursorMs)) this.#wholeLookAt = 0; // committed late, or missed
      if (dueAtMs !== undefined && Number(dueAtMs) >= this.#wakesAtMs) return;
      this.#awaitsPoll = false;
      this.#announcements.heard(dueAtMs, this.#loop);
    });
    this.#loop.start();
  }

  async stop(): Promise<void> {
    this.#stopListening?.();
    await this.#loop.stop();
  }

  async #step(signal: AbortSignal): Promise<Next> {
    this.#awaitsPoll = false;
    await this.#announcements.pause(signal);
    this.#wakesAtMs = Number.POSITIVE_INFINITY; // until the answer is known, every notification counts
    const isWhole = performance.now() >= this.#wholeLookAt;
    const { promoted, nextDueInMs, nextDueAtMs } = await this.#look(isWhole, signal);
    if (promoted === batchSize) return "again";

    let restMs = Number.POSITIVE_INFINITY;
    if (nextDueInMs !== undefined && nextDueAtMs !== undefined && nextDueInMs < this.#horizonMs) {
      this.#wakesAtMs = nextDueAtMs;
      restMs = nextDueInMs <= 0 && promoted === 0 ? leastRestMs : Math.max(Math.ceil(nextDueInMs), 1);
    }
    // Jobs behind the cursor must not wait for the poll.
    if (!isWhole) restMs = Math.min(restMs, Math.max(this.#wholeLookAt - performance.now(), 1));
    this.#awaitsPoll = restMs === Number.POSITIVE_INFINITY;
    return this.#awaitsPoll ? "until rung" : { restMs };
  }

  #wake(): void {
    this.#awaitsPoll = false;
    this.#loop.wakeUp.ring();
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
