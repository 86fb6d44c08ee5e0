import { type Database, listSchedules } from "@hark/core";
import { parseRule, type ScheduleRule, ticksOf } from "@hark/worker/internal";
import { command } from "../command.ts";
import { findConnection, withDatabase } from "../connection.ts";
import { exitCodes } from "../exit-codes.ts";
import { integerFlag } from "../integer-flag.ts";
import { UsageError } from "../usage-error.ts";

export const scheduleNextCommand = command({
  examples: ["hark schedule next weekly-digest", `hark schedule next "30 2 * * *" --tz America/New_York --count 3`],
  usage: "<name | pattern>",
  about: `Shows the next times of a schedule, in its time zone and in UTC. Give the name of a schedule in the database, or a cron pattern,
which needs no database. When clocks change, a fixed time that is skipped runs at the end of the gap, and one that occurs twice runs
at its first occurrence.`,
  words: { least: 1, most: 1 },
  flags: {
    tz: { type: "string", value: "<zone>", help: "with a pattern: its time zone; default UTC" },
    count: { type: "string", value: "<n>", help: "how many times to show, 1 to 100; default 5" },
  },
  async run({ values, words: [asked = ""], output }) {
    const count = integerFlag("count", values.count, { least: 1, most: 100 }) ?? 5;
    const isPattern = /[\s@]/.test(asked);
    if (values.tz !== undefined && !isPattern)
      throw new UsageError("--tz needs a pattern: a schedule has its own time zone.");
    const { rule, fromMs } = isPattern
      ? { rule: parseRule(asked, values.tz), fromMs: Date.now() }
      : await withDatabase(await findConnection(values), (db) => stored(db, asked));

    const ticks = ticksOf(rule);
    const next: number[] = [];
    for (let tick = ticks.next(fromMs); tick !== undefined && next.length < count; tick = ticks.next(tick))
      next.push(tick);
    const zone = rule.cron === undefined ? "UTC" : rule.zone;
    output.table(
      [`in ${zone}`, "UTC"],
      next.map((tick) => [shownIn(zone, tick), new Date(tick).toISOString()]),
    );
    output.document({ rule, next: next.map((tick) => new Date(tick).toISOString()) });
    return exitCodes.ok;
  },
});

async function stored(db: Database, name: string): Promise<{ rule: ScheduleRule; fromMs: number }> {
  const found = (await listSchedules(db)).find((schedule) => schedule.name === name);
  if (!found) throw new UsageError(`There is no schedule "${name}". "hark schedule list" shows all schedules.`);
  const { cron, zone, everyMs, nextAt } = found;
  const rule = everyMs === null ? { cron: cron!, zone: zone! } : { everyMs };
  return { rule, fromMs: nextAt === null ? Date.now() : nextAt.getTime() - 1 };
}

function shownIn(timeZone: string, instantMs: number): string {
  return new Intl.DateTimeFormat("en-GB", {
    timeZone,
    weekday: "short",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    timeZoneName: "longOffset",
  }).format(instantMs);
}
