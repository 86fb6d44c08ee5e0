import { expect, test } from "vitest";
import { newestTicks, type ScheduleRule, ticksOf } from "./rule.ts";

const at = (text: string) => Date.parse(`${text}Z`);
const shown = (ticks: number[]) => ticks.map((tick) => new Date(tick).toISOString().slice(0, 19));
const from = (rule: ScheduleRule, after: string, many: number): string[] => {
  const ticks = ticksOf(rule);
  const found: number[] = [];
  for (let tick = ticks.next(at(after)); tick !== undefined && found.length < many; tick = ticks.next(tick))
    found.push(tick);
  return shown(found);
};

// FM-35: for each of these, libraries return different results.
for (const [what, cron, zone, after, expected] of [
  [
    "a fixed time in a gap is due once, at its end",
    "30 2 * * *",
    "America/New_York",
    "2026-03-08T00:00",
    ["2026-03-08T07:00:00", "2026-03-09T06:30:00"],
  ],
  [
    "two fixed times in one gap are due once",
    "15,45 2 * * *",
    "America/New_York",
    "2026-03-08T00:00",
    ["2026-03-08T07:00:00", "2026-03-09T06:15:00"],
  ],
  [
    "a fixed time in a gap of half an hour is due at its end",
    "15 2 * * *",
    "Australia/Lord_Howe",
    "2026-10-03T00:00",
    ["2026-10-03T15:30:00", "2026-10-04T15:15:00"],
  ],
  [
    "midnight in a gap is due at 01:00",
    "0 0 * * *",
    "America/Havana",
    "2026-03-08T00:00",
    ["2026-03-08T05:00:00", "2026-03-09T04:00:00"],
  ],
  [
    "a fixed time on a skipped day is due when the next day begins",
    "0 9 * * *",
    "Pacific/Apia",
    "2011-12-30T00:00",
    ["2011-12-30T10:00:00", "2011-12-30T19:00:00"],
  ],
  [
    "a fixed time in an overlap is due at its first occurrence",
    "30 1 * * *",
    "America/New_York",
    "2026-11-01T00:00",
    ["2026-11-01T05:30:00", "2026-11-02T06:30:00"],
  ],
  [
    "a pattern with a star is due at all its times in both hours of an overlap",
    "*/30 2 * * *",
    "Europe/Zurich",
    "2026-10-24T22:00",
    ["2026-10-25T00:00:00", "2026-10-25T00:30:00", "2026-10-25T01:00:00", "2026-10-25T01:30:00", "2026-10-26T01:00:00"],
  ],
  [
    "a pattern with a star is never due in a gap",
    "*/30 2 * * *",
    "Europe/Zurich",
    "2026-03-28T22:00",
    ["2026-03-30T00:00:00", "2026-03-30T00:30:00"],
  ],
  [
    "six fields begin with seconds",
    "*/20 0 9 * * *",
    "UTC",
    "2026-01-01T09:00:20",
    ["2026-01-01T09:00:40", "2026-01-02T09:00:00"],
  ],
] as const) {
  test(`${what}: ${cron} in ${zone}`, { tags: ["FM-35"] }, () => {
    expect(from({ cron, zone }, after, expected.length)).toEqual(expected);
  });
}

test("an interval follows elapsed time, from the beginning of 1970", { tags: ["FM-35"] }, () => {
  expect(from({ everyMs: 5_400_000 }, "1970-01-01T00:00", 2)).toEqual(["1970-01-01T01:30:00", "1970-01-01T03:00:00"]);
  expect(from({ everyMs: 3_600_000 }, "2026-10-25T00:00", 3)).toEqual(
    ["01", "02", "03"].map((hour) => `2026-10-25T${hour}:00:00`),
  );
});

test("the newest ticks of a time span are found, whether it has many or few", () => {
  const second = ticksOf({ everyMs: 1_000 });
  expect(shown(newestTicks(second, at("1990-01-01T00:00"), at("2026-01-01T00:00"), 2))).toEqual([
    "2025-12-31T23:59:59",
    "2026-01-01T00:00:00",
  ]);
  const yearly = ticksOf({ cron: "0 0 1 1 *", zone: "UTC" });
  expect(shown(newestTicks(yearly, at("2020-01-01T00:00"), at("2022-06-01T00:00"), 100))).toEqual(
    ["2020", "2021", "2022"].map((year) => `${year}-01-01T00:00:00`),
  );
  expect(newestTicks(yearly, at("2020-01-02T00:00"), at("2020-06-01T00:00"), 100)).toEqual([]);
});
