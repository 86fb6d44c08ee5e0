import type { Database, Logger } from "@hark/core";
import { statements } from "@hark/core/internal";
import type { LeaseKeeper } from "../lease/lease-keeper.ts";
import { Loop } from "../runtime/loop.ts";

/**
 * From one look to the next at least, in ms: with the age below and a third of a lease until it is
 * rung, a frozen listener is gone within 45 s (FM-10).
 */
const intervalMs = 11_000;

/**
 * A listener that has not read for this long is frozen, in ms: its heartbeat gives its server 1 s.
 */
const defaultFrozenMs = 30_000;

/**
 * Share of the server's notification queue that is worth a warning: it is all but empty while every
 * listener reads.
 */
const muchUsage = 0.01;

/** From one warning of the queue to the next, in ms. */
const silenceMs = 300_000;

export interface FrozenListenerParts {
  readonly db: Database;
  readonly logger: Logger;
  readonly frozenMs?: number;
}

/**
 * Ends listeners of Hark whose process stands still. Their session would keep the notification
 * queue of the whole server from shrinking, and dead rows too (FM-10). Every worker looks, because
 * a single chosen one might stand still itself. It looks only while the queue is not empty, which
 * the renewals of the lease tell.
 */
export function frozenListenerWatch(parts: FrozenListenerParts & { lease: Pick<LeaseKeeper, "renewed"> }): Loop {
  const look = frozenListenerLook(parts);
  let lookedAt = Number.NEGATIVE_INFINITY;
  let isQueueUsed = false;
  const loop = new Loop({
    name: "frozen listeners",
    logger: parts.logger,
    async step() {
      if (!isQueueUsed) return "until rung";
      const now = performance.now();
      if (now < lookedAt + intervalMs) return { restMs: lookedAt + intervalMs - now };
      await look();
      lookedAt = now;
      isQueueUsed = false;
      return "until rung";
    },
  });
  parts.lease.renewed.on(({ notificationQueueUsage }) => {
    if (notificationQueueUsage === 0) return;
    isQueueUsed = true;
    loop.wakeUp.ring();
  });
  return loop;
}

/**
 * One look of the watch; call the function that it returns with the time in ms of the process
 * clock. A listener that does not read holds up the queue's tail, so an empty queue means that
 * there is none.
 */
export function frozenListenerLook({ db, logger, frozenMs = defaultFrozenMs }: FrozenListenerParts) {
  let warnAt = 0;
  return async (now: number = performance.now()): Promise<void> => {
    const [{ usage } = { usage: 0 }] = await statements.notificationQueueUsage(db, {});
    if (usage === 0) return;
    for (const { pid, heldMs } of await statements.endFrozenListeners(db, { olderThanMs: frozenMs })) {
      logger.warn({ pid, heldMs: Math.round(heldMs) }, "ended the session of a listener that no longer read");
    }
    if (usage < muchUsage || now < warnAt) return;
    warnAt = now + silenceMs;
    logger.warn(
      { usage },
      "the server's notification queue fills up, and enqueueing fails when it is full: end the session that listens but does not read",
    );
  };
}
