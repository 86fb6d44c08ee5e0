import { type Database, silentLogger } from "@hark/core";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Promoter } from "./promoter.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test(
  "a promoter that has failed for a while looks as soon as the listener is back, without waiting for its rest to end",
  { tags: ["FM-47"] },
  async () => {
    let isDown = true;
    const looks: number[] = [];
    const query = async () => {
      looks.push(performance.now());
      if (isDown) throw new Error("connect ECONNREFUSED");
      return { rows: [{ promoted: 0, next_due_in_ms: null, next_due_at_ms: null, looked_at_ms: Date.now() }] };
    };
    let hear: (payload: string | undefined) => void = () => {};
    const notifications = { on: (_: string, heard: typeof hear) => ((hear = heard), () => {}) };
    const promoter = new Promoter({
      db: { query } as unknown as Database,
      notifications,
      pollMs: 5_000,
      logger: silentLogger,
    });
    promoter.start();
    await vi.advanceTimersByTimeAsync(60_000); // the rests after a failure have grown to some seconds
    const before = looks.length;
    while (looks.length === before) await vi.advanceTimersByTimeAsync(10); // just now, and it failed
    const failed = looks.length;

    isDown = false;
    hear("12345"); // a job is scheduled, which does not prove that the database works again
    await vi.advanceTimersByTimeAsync(200);
    expect(looks).toHaveLength(failed);
    hear(undefined);
    await vi.advanceTimersByTimeAsync(100);

    expect(looks).toHaveLength(failed + 1);
    await Promise.all([promoter.stop(), vi.advanceTimersByTimeAsync(1)]);
  },
);
