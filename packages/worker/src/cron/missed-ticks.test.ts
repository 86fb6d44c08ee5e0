import { expect, test } from "vitest";
import { dueTicks } from "./missed-ticks.ts";
import { ticksOf } from "./rule.ts";

const hourMs = 3_600_000;
const hourly = ticksOf({ everyMs: hourMs });
const asked = (pastMs: number) => ({ dueAtMs: 10 * hourMs, nowMs: 15 * hourMs + pastMs });

test(
  "of six due ticks, none, the newest or all are fired, and the next tick is in the future",
  { tags: ["FM-34"] },
  () => {
    const nextAtMs = 16 * hourMs;
    const all = [10, 11, 12, 13, 14, 15].map((hour) => hour * hourMs);
    expect(dueTicks(hourly, "all", asked(hourMs / 2))).toEqual({ tickMs: all, nextAtMs });
    expect(dueTicks(hourly, "once", asked(hourMs / 2))).toEqual({ tickMs: [15 * hourMs], nextAtMs });
    expect(dueTicks(hourly, "none", asked(hourMs / 2))).toEqual({ tickMs: [], nextAtMs });
  },
);

test("a newest tick of up to a minute ago counts as late, not as missed", { tags: ["FM-34"] }, () => {
  expect(dueTicks(hourly, "none", asked(60_000)).tickMs).toEqual([15 * hourMs]);
  expect(dueTicks(hourly, "none", asked(60_001)).tickMs).toEqual([]);
});

test("of very many missed ticks, the newest 100 are fired", { tags: ["FM-34"] }, () => {
  const { tickMs } = dueTicks(ticksOf({ everyMs: 1_000 }), "all", { dueAtMs: 0, nowMs: 10_000_000_500 });
  expect([tickMs.length, tickMs[0], tickMs.at(-1)]).toEqual([100, 9_999_901_000, 10_000_000_000]);
});

test("a tick computed from other zone data is fired, and the last tick of a rule has no next", () => {
  const last = ticksOf({ cron: "0 0 0 1 1 * 2026", zone: "UTC" });
  const nowMs = Date.UTC(2026, 0, 1, 0, 30);
  expect(dueTicks(last, "once", { dueAtMs: nowMs - 1, nowMs })).toEqual({ tickMs: [nowMs - 1], nextAtMs: undefined });
});
