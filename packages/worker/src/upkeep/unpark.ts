import type { Database, Logger, Notifications } from "@hark/core";
import { backoffMs, channels, statements } from "@hark/core/internal";
import { Loop, type Next } from "../runtime/loop.ts";
import type { Part } from "../runtime/part.ts";

/**
 * From the end of one lap over all keys to the next, in ms. A hand-off frees parked jobs at once,
 * so there is hardly ever one to free.
 */
const intervalMs = 60_000;

/** Keys looked at in one statement, which takes some 10 ms. */
const batchSize = 1_000;

/** Share of the time that a lap takes: usually, and while a key is known to wait. */
const lapShare = { usual: 0.01, urgent: 0.1 };

/**
 * From hearing that a key waits to the lap that looks for it, in ms, and between the laps that
 * follow until none waits: its jobs were locked, most likely for some ms.
 */
const whileKeysWait = { baseMs: 1_000, factor: 2, capMs: 5_000, jitter: 0.1 };

/**
 * Frees parked jobs whose key is free but that no hand-off could free. Walks over all keys, some at
 * a time; a notification says that one waits, and then it looks soon, until none does.
 */
export class Unpark implements Part {
  readonly #db: Database;
  readonly #notifications: Notifications;
  readonly #queues: ReadonlySet<string>;
  readonly #logger: Logger;
  readonly #loop: Loop;
  #cursor = statements.firstKey;
  /** Laps in a row for keys that wait, the present one included; 0 if none is known to wait. */
  #urgentLaps = 0;
  /** A notification came that no lap begun since then has looked after. */
  #isAsked = false;
  /** Keys that this lap left as they were. */
  #waiting = 0;
  #stopListening: (() => void) | undefined;

  constructor(parts: { db: Database; notifications: Notifications; queues: Iterable<string>; logger: Logger }) {
    this.#db = parts.db;
    this.#notifications = parts.notifications;
    this.#queues = new Set(parts.queues);
    this.#logger = parts.logger;
    this.#loop = new Loop({ name: "unpark", restMs: intervalMs, logger: parts.logger, step: () => this.#step() });
  }

  start(): void {
    this.#stopListening = this.#notifications.on(channels.keyWaits, (queue) => {
      if (queue !== undefined && !this.#queues.has(queue)) return; // workers of that queue look
      this.#isAsked = true;
      this.#loop.wakeUp.ring();
    });
    this.#loop.start();
  }

  async stop(): Promise<void> {
    this.#stopListening?.();
    await this.#loop.stop();
  }

  /** Rests are uninterruptible but the long one: anyone may send notifications (FM-45). */
  async #step(): Promise<Next> {
    const isNewLap = this.#cursor === statements.firstKey;
    if (isNewLap && this.#isAsked && this.#urgentLaps === 0) return this.#untilUrgentLap();
    if (isNewLap) this.#isAsked = false;

    const askedAt = performance.now();
    const [looked] = await statements.unparkJobs(this.#db, { ...this.#cursor, limit: batchSize });
    const { unparked, waiting, cursor } = looked!;
    const isUrgent = this.#urgentLaps > 0;
    if (unparked > 0 && isUrgent)
      this.#logger.info({ unparked }, "freed parked jobs that were locked at their hand-off");
    else if (unparked > 0) this.#logger.warn({ unparked }, "freed parked jobs that no hand-off had freed");
    this.#waiting += waiting;
    if (cursor) {
      this.#cursor = cursor;
      const share = isUrgent ? lapShare.urgent : lapShare.usual;
      return { restMs: (performance.now() - askedAt) * (1 / share - 1), isUninterruptible: true };
    }
    const isAnyWaiting = this.#waiting > 0 || this.#isAsked;
    this.#cursor = statements.firstKey;
    this.#waiting = 0;
    if (isAnyWaiting) return this.#untilUrgentLap();
    this.#urgentLaps = 0;
    return "rest";
  }

  #untilUrgentLap(): Next {
    this.#urgentLaps += 1;
    return { restMs: backoffMs(whileKeysWait, this.#urgentLaps), isUninterruptible: true };
  }
}
