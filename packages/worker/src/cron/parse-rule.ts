import { HarkError, InvalidOptionsError, type Issue } from "@hark/core";
import { parseDuration, quote } from "@hark/core/internal";
import { type ScheduleRule, ticksOf } from "./rule.ts";

/** Least interval, in ms. Every tick costs a commit. */
const leastIntervalMs = 1_000;

/** Longest pattern, in characters: a list of all seconds and minutes has 340. */
const longestPattern = 500;

/**
 * Parses the rule of a schedule: a cron pattern in a time zone (default: UTC), or `{ every }`
 * without a zone.
 * @throws InvalidOptionsError for an invalid rule, or one that is never due
 */
export function parseRule(when: unknown, tz?: string): ScheduleRule {
  if (typeof when === "string") return parseCron(when, tz ?? "UTC");
  if (typeof when === "object" && when !== null && "every" in when) return parseInterval(when.every, tz);
  return refuse({ path: ["when"], message: `must be a cron pattern or { every: "5m" }, not ${quote(when)}` });
}

function parseInterval(every: unknown, tz: string | undefined): ScheduleRule {
  if (tz !== undefined)
    return refuse({ path: ["tz"], message: "is for cron patterns only: an interval has no time zone" });
  let everyMs: number;
  try {
    everyMs = parseDuration("every", every as number);
  } catch (error) {
    if (!(error instanceof HarkError)) throw error;
    return refuse({
      path: ["every"],
      message: `${quote(every)} is not a duration: give milliseconds, or "30s", "5m", "1h"`,
    });
  }
  if (Number.isInteger(everyMs) && everyMs >= leastIntervalMs) return Object.freeze({ everyMs });
  return refuse({
    path: ["every"],
    message: `must be whole milliseconds, at least ${leastIntervalMs}, not ${everyMs}`,
  });
}

function parseCron(cron: string, zone: string): ScheduleRule {
  const rule = Object.freeze({ cron, zone });
  let next: number | undefined;
  try {
    if (cron.length > longestPattern) throw new Error(`it is longer than ${longestPattern} characters`);
    next = ticksOf(rule).next(Date.now());
  } catch (cause) {
    if (cause instanceof RangeError && cause.message.includes("time zone"))
      return refuse({
        path: ["tz"],
        message: `${quote(zone)} is not a time zone that this Node knows: use a name such as Europe/Zurich`,
      });
    const message = `${JSON.stringify(cron.slice(0, 80))} is not a cron pattern: ${(cause as Error).message}`;
    return refuse({ path: ["cron"], message });
  }
  if (next === undefined) return refuse({ path: ["cron"], message: `${cron} is never due: there is no such day` });
  return rule;
}

function refuse(issue: Issue): never {
  throw new InvalidOptionsError("schedule", [issue]);
}
