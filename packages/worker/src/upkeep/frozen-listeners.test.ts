import { type Database, silentLogger } from "@hark/core";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Renewed } from "../lease/lease-renewal.ts";
import { TypedEvent } from "../runtime/event.ts";
import { frozenListenerWatch } from "./frozen-listeners.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test(
  "it asks nothing while renewals say that the notification queue is empty, and else once in some seconds",
  { tags: ["FM-10"] },
  async () => {
    const asked: string[] = [];
    const query = async ({ name = "" }: { name?: string }) => {
      asked.push(name);
      return { rows: name === "notification-queue-usage" ? [{ usage: 0.001 }] : [] };
    };
    const renewed = new TypedEvent<Renewed>();
    const db = { query } as unknown as Database;
    const watch = frozenListenerWatch({ db, lease: { renewed }, logger: silentLogger });
    watch.start();
    /** Renews every third of a lease for 30 s. */
    const renew = async (notificationQueueUsage: number) => {
      for (let n = 0; n < 9; n += 1) {
        renewed.emit({ peers: undefined, othersExpireInMs: undefined, notificationQueueUsage });
        await vi.advanceTimersByTimeAsync(10_000 / 3);
      }
    };
    await renew(0);
    expect(asked).toEqual([]);

    await renew(0.001);
    expect(asked).toEqual([1, 2, 3].flatMap(() => ["notification-queue-usage", "end-frozen-listeners"]));
    await Promise.all([watch.stop(), vi.advanceTimersByTimeAsync(1)]);
  },
);
