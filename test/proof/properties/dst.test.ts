import { ticksOf } from "@hark/worker/internal";
import { expect, test, vi } from "vitest";
import { repeats, tell } from "../../support/long.ts";
import { randomFrom, seedOfRun, shuffled } from "../../support/random.ts";

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

/**
 * Fixed times around midnight and in the hours that clocks are turned in, and patterns with a star
 * there.
 */
const patterns = ["30 2 * * *", "0 0 * * *", "15,45 1-3 * * 0", "0 0 1 * *", "*/30 1-3 * * *", "0 * * * 0,6"];
const years = Array.from({ length: 10 }, (_, place) => 2018 + place);

/**
 * Half-hour and two-hour turns, turns at midnight, backwards summers, and rules that changed within
 * these years.
 */
const oddZones = [
  "America/New_York",
  "Australia/Lord_Howe",
  "America/Havana",
  "Antarctica/Troll",
  "Africa/Casablanca",
].concat(["Africa/Cairo", "Asia/Beirut", "America/Nuuk", "Pacific/Chatham", "Europe/Dublin"]);

const pairs = Intl.supportedValuesOf("timeZone").flatMap((zone) => years.map((year) => ({ zone, year })));
const seed = seedOfRun();
const random = randomFrom(seed);
const chosen = [
  ...oddZones.map((zone) => ({ zone, year: shuffled(random, years)[0]! })),
  ...shuffled(random, pairs),
].slice(0, repeats({ few: 20, full: oddZones.length + pairs.length }));
vi.setConfig({ testTimeout: 60_000 + chosen.length * 5_000 });

test(
  `in ${chosen.length} years of zones, ticks are those that an oracle finds minute by minute`,
  { tags: ["FM-35", "TICK-3"] },
  () => {
    let turns = 0;
    let compared = 0;
    for (const { zone, year } of chosen) {
      const [fromMs, untilMs] = [Date.UTC(year, 0, 1), Date.UTC(year + 1, 0, 1)];
      const oracle = walk(zone, fromMs, untilMs);
      turns += oracle.turns;
      for (const [place, cron] of patterns.entries()) {
        const ticks = ticksOf({ cron, zone });
        const found: number[] = [];
        for (let tick = ticks.next(fromMs - 1); tick !== undefined && tick < untilMs; tick = ticks.next(tick))
          found.push(tick);
        compared += found.length;
        expect(found, `${cron} in ${zone} ${year}, TEST_SEED=${seed}`).toEqual(oracle.ticks[place]);
      }
    }
    tell(
      `zone data ${process.versions.tz}: ${compared} ticks of ${chosen.length} years of zones with ${turns} turns of their clocks`,
    );
    expect(turns).toBeGreaterThan(5);
  },
);

/**
 * Walks through the minutes of a zone's clock and collects the ticks of each pattern by the rule as
 * the README prints it.
 */
function walk(zone: string, fromMs: number, untilMs: number): { ticks: number[][]; turns: number } {
  const rules = patterns.map((pattern) => ({ isDue: matcher(pattern), isFixed: !/^\S*\*|^\S+ \S*\*/.test(pattern) }));
  const ticks: number[][] = patterns.map(() => []);
  const wallAt = clockOf(zone);
  let turns = 0;
  let lastWall = Number.NEGATIVE_INFINITY; // the latest that was shown so far
  for (let hour = fromMs - 2 * dayMs; hour < untilMs; hour += hourMs) {
    const offset = wallAt(hour) - hour;
    const isSteady = wallAt(hour + hourMs) - hour - hourMs === offset;
    if (!isSteady) turns += 1;
    for (let now = hour; now < hour + hourMs; now += minuteMs) {
      const wall = isSteady ? now + offset : wallAt(now);
      const isAgain = wall <= lastWall;
      const walls = [wall]; // what a fixed time is due at now: this, and what was left out before it
      if (Number.isFinite(lastWall))
        for (let missing = lastWall + minuteMs; missing < wall; missing += minuteMs) walls.push(missing);
      for (const [place, { isDue, isFixed }] of rules.entries()) {
        const isTick = isFixed ? !isAgain && walls.some(isDue) : isDue(wall);
        if (isTick && now >= fromMs) ticks[place]!.push(now);
      }
      lastWall = Math.max(lastWall, wall);
    }
  }
  return { ticks, turns };
}

/** What a zone's clock shows at an instant, asked in another way than the product asks. */
function clockOf(zone: string): (instant: number) => number {
  const format = new Intl.DateTimeFormat("en", { timeZone: zone, timeZoneName: "longOffset" });
  return (instant) => {
    const name = format.formatToParts(instant).find(({ type }) => type === "timeZoneName")!.value;
    const [, sign = "+", hours = "0", minutes = "0"] = /GMT(?:([+-])(\d+):(\d+))?/.exec(name)!;
    return instant + (sign === "-" ? -1 : 1) * (Number(hours) * hourMs + Number(minutes) * minuteMs);
  };
}

/**
 * Whether a wall time in epoch ms matches a pattern of five fields, each `*`, a list, a range or a
 * step.
 */
function matcher(pattern: string): (wall: number) => boolean {
  const [minute, hour, day, month, weekday] = pattern.split(" ").map((field) => {
    const parts = field.split(",").map((part) => /^(\*|\d+)(?:-(\d+))?(?:\/(\d+))?$/.exec(part)!.slice(1));
    return (value: number) =>
      parts.some(([from = "", to, step = "1"]) => {
        const isIn = from === "*" || (value >= Number(from) && value <= Number(to ?? from));
        return isIn && value % Number(step) === 0;
      });
  });
  return (wall) => {
    const date = new Date(wall);
    return (
      minute!(date.getUTCMinutes()) &&
      hour!(date.getUTCHours()) &&
      day!(date.getUTCDate()) &&
      month!(date.getUTCMonth() + 1) &&
      weekday!(date.getUTCDay())
    );
  };
}
