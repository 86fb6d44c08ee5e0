import { channels, type Database, FalseAlarms, type Logger, type Notifications, statements } from "@hark/core";
import { Loop, type Next } from "../runtime/loop.ts";
import type { Part } from "../runtime/part.ts";

/** Due jobs promoted in one statement. */
const batchSize = 1_000;

/** Least rest when something is due but locked, in ms: another promoter has it in hand. */
const leastRestMs = 5;

/**
 * Makes due jobs ready, by updating their run_at. Sleeps until the earliest is due, and is woken when an earlier one is
 * scheduled. Every worker has one; they skip each other's rows, so any number is right and none is needed to lead.
 */
export class Promoter implements Part {
  readonly #db: Database;
  readonly #notifications: Notifications;
  readonly #loop: Loop;
  readonly #pollMs: number;
  /** When the sleep ends, in epoch ms by the database's clock; what is due later than that needs no waking. */
  #armedForMs = Number.POSITIVE_INFINITY;
  readonly #alarms = new FalseAlarms();
  #isTold = false;
  #stopListening: (() => void) | undefined;

  constructor(parts: { db: Database; notifications: Notifications; pollMs: number; logger: Logger }) {
    this.#db = parts.db;
    this.#notifications = parts.notifications;
    this.#pollMs = parts.pollMs;
    this.#loop = new Loop({
      name: "promote",
      restMs: parts.pollMs,
      logger: parts.logger,
      step: (signal) => this.#step(signal),
    });
  }

  start(): void {
    this.#stopListening = this.#notifications.on(channels.jobScheduled, (dueAtMs) => {
      // Forged or garbled payloads are no number, and wake it once too often at worst.
      if (dueAtMs !== undefined && Number(dueAtMs) >= this.#armedForMs) return;
      this.#isTold = true;
      this.#loop.wakeUp.ring();
    });
    this.#loop.start();
  }

  async stop(): Promise<void> {
    this.#stopListening?.();
    await this.#loop.stop();
  }

  async #step(signal: AbortSignal): Promise<Next> {
    if (this.#isTold) {
      await this.#alarms.pause(signal);
      this.#alarms.count(); // true ones come far less often: one a statement that schedules something earlier
    }
    this.#isTold = false;
    this.#armedForMs = Number.POSITIVE_INFINITY; // until the answer is known, every notification counts
    const { promoted, nextDueInMs, nextDueAtMs } = (await statements.promoteJobs(this.#db, { limit: batchSize }))[0]!;
    if (promoted === batchSize) return "again";
    if (nextDueInMs === undefined || nextDueAtMs === undefined) return "rest";

    this.#armedForMs = nextDueAtMs;
    if (nextDueInMs > this.#pollMs) return "rest";
    return { restMs: nextDueInMs <= 0 && promoted === 0 ? leastRestMs : Math.max(Math.ceil(nextDueInMs), 1) };
  }
}
