import { type Database, type Logger, statements } from "@hark/core";
import { Loop } from "../runtime/loop.ts";

/** How often to look, in ms: with the age below, a frozen listener is gone within 45 s (FM-10). */
const intervalMs = 12_000;

/**
 * A listener that has not read for this long does not read at all, in ms: its heartbeat gives its
 * server 1 s.
 */
const frozenMs = 30_000;

/**
 * Share of the server's notification queue that is worth a warning: it is all but empty while
 * everybody reads.
 */
const muchUsage = 0.01;

/** From one warning of the queue to the next, in ms. */
const silenceMs = 300_000;

/**
 * Ends listeners of ours whose process stands still: their session would pin the notification queue
 * of the whole server, and dead rows with it (FM-10). Every worker looks, since the one that would
 * be chosen may be the one that stands still.
 */
export class FrozenListenerWatch {
  readonly loop: Loop;
  readonly #db: Database;
  readonly #logger: Logger;
  readonly #frozenMs: number;
  #warnAt = 0;

  constructor(parts: { db: Database; logger: Logger; frozenMs?: number }) {
    this.#db = parts.db;
    this.#logger = parts.logger;
    this.#frozenMs = parts.frozenMs ?? frozenMs;
    this.loop = new Loop({
      name: "frozen listeners",
      restMs: intervalMs,
      logger: parts.logger,
      step: async () => {
        await this.look();
        return "rest";
      },
    });
  }

  /**
   * Looks once; `now` in ms of the process clock. A listener that does not read holds up the
   * queue's tail, so that an empty queue means that there is none.
   */
  async look(now: number = performance.now()): Promise<void> {
    const [{ usage } = { usage: 0 }] = await statements.notificationQueueUsage(this.#db, {});
    if (usage === 0) return;
    for (const { pid, heldMs } of await statements.endFrozenListeners(this.#db, { olderThanMs: this.#frozenMs })) {
      this.#logger.warn(
        { pid, heldMs: Math.round(heldMs) },
        "ended the session of a listener that did not read any more",
      );
    }
    if (usage < muchUsage || now < this.#warnAt) return;
    this.#warnAt = now + silenceMs;
    this.#logger.warn(
      { usage },
      "the server's notification queue fills up, and when it is full enqueueing fails: end the session that listens and does not read",
    );
  }
}
