import type { Database, Logger } from "@hark/core";
import { statements } from "@hark/core/internal";
import type { TypedEvent } from "../runtime/event.ts";
import { Loop, type Next } from "../runtime/loop.ts";
import type { Part } from "../runtime/part.ts";

/**
 * What is due within this share of its interval is asked for together with what is due now, since
 * one transaction more costs more than an early look.
 */
const earlyShare = 0.25;

/**
 * A poll comes at random earlier than its interval asks for, by this share of it at most and never
 * later: so that workers that start together do not stay together.
 */
const earliness = 0.1;

/** What the poll needs of a claimer. */
export interface PolledClaimer {
  readonly queue: string;
  /** It rests until it is woken. */
  readonly awaitsPoll: boolean;
  /** Every new job should be announced to it. */
  readonly expectsNotifications: boolean;
  /** Claims without a notification. */
  look(): void;
}

/** What the poll needs of the promoter. */
export interface PolledPromoter {
  /** It rests until it is woken. */
  readonly awaitsPoll: boolean;
  /** The earliest scheduled job is due in so many ms, negative if it is already. */
  dueIn(ms: number): void;
}

export interface PollParts {
  readonly db: Database;
  readonly types: readonly string[];
  readonly claimers: readonly PolledClaimer[];
  readonly promoter: PolledPromoter;
  /** From one poll of the queues to the next, in ms. */
  readonly queuesEveryMs: number;
  /** From one look for scheduled jobs to the next, in ms. */
  readonly dueEveryMs: number;
  /** Each of them says that it should look at once, also if it failed before. */
  readonly hurriedBy: readonly Pick<TypedEvent, "on">[];
  /** A job was ready that should have been announced, and was not. */
  readonly onMissed: () => void;
  readonly logger: Logger;
}

/**
 * Finds the jobs whose notification was lost, in one statement for all that sleeps: the queues
 * without a ready job, and the promoter. A thousand idle queues cost as many transactions as one.
 */
export class Poll implements Part {
  readonly #parts: PollParts;
  readonly #loop: Loop;
  readonly #queues: Timetable;
  readonly #due: Timetable;

  constructor(parts: PollParts) {
    this.#parts = parts;
    this.#queues = new Timetable(parts.queuesEveryMs);
    this.#due = new Timetable(parts.dueEveryMs);
    this.#loop = new Loop({ name: "poll", logger: parts.logger, step: () => this.#step() });
    for (const event of parts.hurriedBy) event.on(() => this.#hurry());
  }

  /** Polls in a row that failed; 0 while all is well. */
  get failures(): number {
    return this.#loop.failures;
  }

  start(): void {
    this.#loop.start();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  #hurry(): void {
    this.#queues.nextAt = this.#due.nextAt = 0;
    this.#loop.wakeUp.ring();
    this.#loop.retry();
  }

  async #step(): Promise<Next> {
    const { claimers, promoter } = this.#parts;
    const now = performance.now();
    const asleep = this.#queues.isDue(now) ? claimers.filter(({ awaitsPoll }) => awaitsPoll) : [];
    const asksDue = this.#due.isDue(now) && promoter.awaitsPoll;
    if (asleep.length > 0 || asksDue) await this.#ask(asleep, asksDue);
    const share = 1 - earliness * Math.random(); // the same for both, so that they stay together
    for (const timetable of [this.#queues, this.#due]) timetable.passed(now, share);
    return { restMs: Math.max(Math.min(this.#queues.nextAt, this.#due.nextAt) - performance.now(), 0) };
  }

  async #ask(asleep: readonly PolledClaimer[], asksDue: boolean): Promise<void> {
    const { db, types, promoter, onMissed } = this.#parts;
    const queues = asleep.map(({ queue }) => queue);
    const { ready, nextDueInMs } = (await statements.probeJobs(db, { queues, types, asksDue }))[0]!;
    const isReady = new Set(ready);
    const found = asleep.filter(({ queue, awaitsPoll }) => isReady.has(queue) && awaitsPoll); // not woken meanwhile
    if (found.some(({ expectsNotifications }) => expectsNotifications)) onMissed();
    for (const claimer of found) claimer.look();
    if (nextDueInMs !== undefined) promoter.dueIn(nextDueInMs);
  }
}

/** When something is to be asked for again. Times are by performance.now(). */
class Timetable {
  readonly #everyMs: number;
  nextAt = 0;

  constructor(everyMs: number) {
    this.#everyMs = everyMs;
  }

  isDue(now: number): boolean {
    return now >= this.nextAt - earlyShare * this.#everyMs;
  }

  /** What was due at `now` has been asked for, and is due again after `share` of the interval. */
  passed(now: number, share: number): void {
    if (this.isDue(now)) this.nextAt = now + share * this.#everyMs;
  }
}
