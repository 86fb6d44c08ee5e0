import { defineJob, type Queryable, type Notifications, silentLogger } from "@hark/core";
import { channels } from "@hark/core/internal";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { schedule } from "./schedule.ts";
import { Scheduler } from "./scheduler.ts";

beforeEach(() => void vi.useFakeTimers({ now: Date.UTC(2026, 0, 1) }));
afterEach(() => void vi.useRealTimers());

const hourMs = 3_600_000;

test("an idle scheduler looks once a minute, when a tick is due, and when one of its schedules has changed", async () => {
  const asked: string[] = [];
  let nextAtMs = Date.now() + 10 * hourMs;
  const db: Queryable = {
    query: ({ name = "" }) => {
      asked.push(name);
      if (name === "fire-schedule") nextAtMs += hourMs;
      const rows: Record<string, Record<string, unknown>[]> = {
        "database-time": [{ now_ms: Date.now() }],
        "waiting-schedules": [
          { name: "hourly", revision: "1", every_ms: hourMs, missed: "once", next_at_ms: nextAtMs, now_ms: Date.now() },
        ],
        "fire-schedule": [{ enqueued: 1 }],
      };
      return Promise.resolve({ rows: rows[name] ?? [] });
    },
  };
  let tell: (payload: string | undefined) => void = () => {};
  const notifications: Notifications = {
    on: (channel, heard) => ((tell = channel === channels.scheduleChanged ? heard : tell), () => {}),
  };
  const hourly = schedule(defineJob("test.hourly"), { every: "1h" }, { name: "hourly" });
  const scheduler = new Scheduler({ db, notifications, schedules: [hourly], logger: silentLogger });
  const looks = async (ms: number) => {
    asked.length = 0;
    await vi.advanceTimersByTimeAsync(ms);
    return [...asked];
  };
  scheduler.start();
  await vi.advanceTimersByTimeAsync(0);
  expect(asked).toEqual(["database-time", "declare-schedules", "waiting-schedules"]);
  expect(await looks(50_000)).toEqual([]);
  expect(new Set(await looks(10 * 60_000))).toEqual(new Set(["waiting-schedules"]));
  expect(asked.length).toBeLessThanOrEqual(12);

  // Starts right after a look, so that the look of the next minute does not interfere.
  while ((await looks(100)).length === 0);
  nextAtMs = Date.now() + 2_000;
  tell("another");
  expect(await looks(500)).toEqual([]);
  tell("hourly");
  expect(await looks(500)).toEqual(["waiting-schedules"]);
  expect(await looks(1_500)).toEqual(["waiting-schedules", "fire-schedule", "waiting-schedules"]);
  expect(scheduler.lagMs).toBe(0);
  const stopped = scheduler.stop();
  await vi.advanceTimersByTimeAsync(1);
  await stopped;
});
