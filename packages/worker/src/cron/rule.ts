import { Cron } from "croner";
import { ZoneClock } from "./zone-clock.ts";

/** When a schedule is due: at the times of a cron pattern in a time zone, or every `everyMs` ms. */
export type ScheduleRule =
  | { readonly cron: string; readonly zone: string; readonly everyMs?: undefined }
  | { readonly everyMs: number; readonly cron?: undefined };

/** The moments of a rule, in epoch ms. */
export interface Ticks {
  /** The first tick after a moment, or undefined if there are no more. */
  next(afterMs: number): number | undefined;
}

/**
 * Returns the ticks of a rule. An interval counts from 1970-01-01 UTC, so that all schedulers agree
 * and a restart shifts nothing.
 * @throws Error for an invalid pattern, RangeError for an unknown zone
 */
export function ticksOf(rule: ScheduleRule): Ticks {
  if (rule.everyMs === undefined) return new CronTicks(rule.cron, rule.zone);
  const { everyMs } = rule;
  return { next: (afterMs) => (Math.floor(afterMs / everyMs) + 1) * everyMs };
}

/**
 * Ticks of a cron pattern by a zone's clock. The library parses the pattern and counts in UTC. The
 * rules for clock changes are decided here (FM-35, docs/decisions/0019). A fixed time is due once
 * on each of its days: in a gap at the first instant after it, in an overlap at its first
 * occurrence. A pattern with `*` in its seconds, minutes or hours is due whenever the clock shows a
 * matching time: never in a gap, and in both hours of an overlap.
 */
class CronTicks implements Ticks {
  readonly #cron: Cron;
  readonly #clock: ZoneClock;
  readonly #isFixed: boolean;

  constructor(pattern: string, zone: string) {
    this.#cron = new Cron(pattern, { paused: true, utcOffset: 0 });
    const fields = this.#cron.getPattern()?.trim().split(/\s+/);
    if (!fields) throw new Error("it is a date"); // the library accepts a date too, as a pattern for that moment
    this.#isFixed = !fields.slice(0, fields.length - 3).some((field) => /[*?]/.test(field));
    this.#clock = new ZoneClock(zone);
  }

  next(afterMs: number): number | undefined {
    return this.#isFixed ? this.#nextFixed(afterMs) : this.#nextShown(afterMs);
  }

  #nextFixed(afterMs: number): number | undefined {
    let wallMs = this.#nextWall(this.#clock.wallAt(afterMs));
    while (wallMs !== undefined) {
      const tickMs = this.#clock.instantsAt(wallMs)[0] ?? this.#clock.endOfGap(wallMs);
      if (tickMs > afterMs) return tickMs;
      wallMs = this.#nextWall(wallMs); // shown for the second time
    }
    return undefined;
  }

  #nextShown(afterMs: number): number | undefined {
    let fromMs = this.#clock.wallAt(afterMs);
    let leastMs = afterMs + 1;
    const turned = this.#clock.turnedBackAfter(afterMs);
    if (turned) {
      const wallMs = this.#nextWall(fromMs);
      if (wallMs !== undefined && wallMs < turned.insteadOfMs) return afterMs + (wallMs - fromMs);
      fromMs = this.#clock.wallAt(turned.atMs) - 1;
      leastMs = turned.atMs;
    }
    for (let wallMs = this.#nextWall(fromMs); wallMs !== undefined; wallMs = this.#nextWall(wallMs)) {
      const tickMs = this.#clock.instantsAt(wallMs).find((instantMs) => instantMs >= leastMs);
      if (tickMs !== undefined) return tickMs;
    }
    return undefined;
  }

  #nextWall(afterMs: number): number | undefined {
    return this.#cron.nextRun(new Date(afterMs))?.getTime();
  }
}

/**
 * The newest ticks between two moments, both included, at most `most`; the oldest of them first.
 */
export function newestTicks(ticks: Ticks, fromMs: number, untilMs: number, most: number): number[] {
  // Looked for from the end, in spans that grow: an outage of weeks may hide a million ticks.
  for (let spanMs = 60_000; ; spanMs *= 4) {
    const sinceMs = Math.max(fromMs, untilMs - spanMs);
    const found: number[] = [];
    for (let tick = ticks.next(sinceMs - 1); tick !== undefined && tick <= untilMs; tick = ticks.next(tick))
      found.push(tick);
    if (found.length >= most || sinceMs === fromMs) return found.slice(-most);
  }
}
