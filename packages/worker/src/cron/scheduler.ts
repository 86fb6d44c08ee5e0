import type { Queryable, Logger, Notifications, PayloadCipher } from "@hark/core";
import { backoffMs, channels, jitter, statements } from "@hark/core/internal";
import { Loop, type Next } from "../runtime/loop.ts";
import type { Part } from "../runtime/part.ts";
import { Announcements } from "../wake/announcements.ts";
import { dueTicks } from "./missed-ticks.ts";
import { type ScheduleRule, type Ticks, ticksOf } from "./rule.ts";
import type { Schedule } from "./schedule.ts";

/**
 * Longest sleep, in ms. It bounds the delay after a lost notification of a changed declaration, or
 * after a change of the clock.
 */
const longestRestMs = 60_000;

/**
 * A schedule that is late by more than this makes the worker unhealthy, in ms. The loop's pauses
 * after failures are shorter.
 */
const lateMs = 10_000;

/**
 * Pause before it looks for the next due ticks, in ms, if it fired none of those that were due:
 * other schedulers fired them, or are about to. Longer each time, since another transaction may
 * hold the rows locked for long.
 */
const lostRest = { baseMs: 5, factor: 2, capMs: 1_000, jitter: 0.1 };

/** Pause before it declares schedules again whose rows were locked, in ms. */
const undeclaredRestMs = 500;

export interface SchedulerParts {
  readonly db: Queryable;
  readonly notifications: Notifications;
  readonly schedules: readonly Schedule[];
  readonly cipher?: PayloadCipher | undefined;
  readonly logger: Logger;
}

/**
 * Declares a worker's schedules, and fires them: each tick enqueues a job. Sleeps until the
 * earliest is due, and is woken when a declaration changes. It uses the rules in the database, so
 * that the newest declaration holds for all. Any number of schedulers may have the same schedules,
 * even with skewed clocks: the database's clock decides, and one firing of a tick wins (FM-33). A
 * schedule that no worker declares any more does not fire.
 */
export class Scheduler implements Part {
  readonly #parts: SchedulerParts;
  readonly #names: readonly string[];
  readonly #loop: Loop;
  readonly #announcements = new Announcements();
  readonly #ticks = new Map<string, Ticks>();
  /** Every schedule is written down, or was found as declared. */
  #isDeclared = false;
  /** Looks in a row that found due ticks and fired none. */
  #lost = 0;
  /** The earliest known tick that was not fired yet, in ms of the process clock. */
  #dueAt: { name: string; at: number } | undefined;
  #stopListening: (() => void) | undefined;

  constructor(parts: SchedulerParts) {
    this.#parts = parts;
    this.#names = parts.schedules.map(({ name }) => name);
    const { logger } = parts;
    this.#loop = new Loop({ name: "schedules", restMs: longestRestMs, logger, step: (signal) => this.#step(signal) });
  }

  /** How late the earliest tick is, in ms; 0 while none is. */
  get lagMs(): number {
    return this.#dueAt ? Math.max(0, performance.now() - this.#dueAt.at) : 0;
  }

  /** The problem that keeps schedules from firing, in words. Undefined if there is none. */
  get trouble(): string | undefined {
    const { failures } = this.#loop;
    if (!this.#isDeclared && failures > 0) return `declaring schedules failed ${failures} times in a row`;
    if (this.lagMs <= lateMs) return undefined;
    return `schedule ${this.#dueAt!.name} is ${Math.round(this.lagMs / 1_000)} s late`;
  }

  start(): void {
    const { logger, notifications } = this.#parts;
    logger.info({ schedules: this.#names, zoneData: process.versions.tz }, "schedules follow this zone data");
    this.#stopListening = notifications.on(channels.scheduleChanged, (name) => {
      if (name !== undefined && !this.#names.includes(name)) return;
      this.#announcements.heard(name, this.#loop);
    });
    this.#loop.start();
  }

  async stop(): Promise<void> {
    this.#stopListening?.();
    await this.#loop.stop();
  }

  async #step(signal: AbortSignal): Promise<Next> {
    await this.#announcements.pause(signal);
    const { db } = this.#parts;
    if (!this.#isDeclared) await this.#declare();

    const waiting = await statements.waitingSchedules(db, { names: this.#names });
    const readAt = performance.now();
    const [earliest] = waiting;
    this.#dueAt = earliest && { name: earliest.name, at: readAt + (earliest.nextAtMs - earliest.nowMs) };
    const due = waiting.filter(({ nextAtMs, nowMs }) => nextAtMs <= nowMs);
    const isAnyOurs = due.length > 0 && (await this.#fireAll(due));
    this.#lost = due.length > 0 && !isAnyOurs ? this.#lost + 1 : 0;
    if (isAnyOurs) return "again";
    const next = waiting[due.length];
    const untilDueMs = next ? Math.max(Math.ceil(next.nextAtMs - next.nowMs), 1) : Number.POSITIVE_INFINITY;
    const untilLookMs = this.#lost > 0 ? backoffMs(lostRest, this.#lost) : jitter(longestRestMs);
    return {
      restMs: Math.min(untilDueMs, untilLookMs, this.#isDeclared ? Number.POSITIVE_INFINITY : undeclaredRestMs),
    };
  }

  async #declare(): Promise<void> {
    const { db, schedules, cipher, logger } = this.#parts;
    const { nowMs } = (await statements.databaseTime(db, {}))[0]!;
    const declarations = schedules.map(({ name, rule, missed, job }) => ({
      name,
      cron: rule.cron,
      zone: rule.cron === undefined ? undefined : rule.zone,
      everyMs: rule.everyMs,
      missed,
      ...job,
      payloadJson: cipher ? cipher.seal(job.payloadJson, job) : job.payloadJson,
      nextAtMs: this.#ticksOf(rule).next(nowMs),
    }));
    const request = { schedules: statements.schedulesJson(declarations) };
    const changed = await statements.declareSchedules(db, request);
    const written = changed.filter(({ isWritten }) => isWritten).map(({ name }) => name);
    this.#isDeclared = written.length === changed.length;
    if (written.length > 0) logger.info({ schedules: written }, "schedules declared");
  }

  /**
   * Returns whether this scheduler fired any of them. If one cannot be fired, it fires the others
   * first, and throws at the end.
   */
  async #fireAll(due: readonly statements.WaitingSchedule[]): Promise<boolean> {
    let isAnyOurs = false;
    const failures: unknown[] = [];
    for (const schedule of due) {
      await this.#fire(schedule).then(
        (isOurs) => (isAnyOurs ||= isOurs),
        (error: unknown) => failures.push(error),
      );
    }
    if (failures.length > 0) throw failures[0];
    return isAnyOurs;
  }

  async #fire(schedule: statements.WaitingSchedule): Promise<boolean> {
    const { db, logger } = this.#parts;
    const { name, revision, missed, nextAtMs: dueAtMs, nowMs } = schedule;
    const { tickMs, nextAtMs } = dueTicks(this.#ticksOf(ruleOf(schedule)), missed, { dueAtMs, nowMs });
    const [answer] = await statements.fireSchedule(db, { name, revision, dueAtMs, tickMs, nextAtMs });
    if (answer?.enqueued === undefined) return false; // another scheduler was quicker
    const lagMs = Math.round(nowMs - dueAtMs);
    const facts = { schedule: name, missed, ticks: tickMs.length, jobs: answer.enqueued, lagMs };
    if (lagMs > lateMs) logger.warn(facts, "schedule fired late");
    else logger.debug(facts, "schedule fired");
    return true;
  }

  /** Cached, because parsing a pattern takes longer than asking it for a tick. */
  #ticksOf(rule: ScheduleRule): Ticks {
    const key = JSON.stringify(rule);
    const ticks = this.#ticks.get(key) ?? ticksOf(rule);
    this.#ticks.set(key, ticks);
    return ticks;
  }
}

function ruleOf({ cron, zone, everyMs }: statements.WaitingSchedule): ScheduleRule {
  return everyMs === undefined ? { cron: cron!, zone: zone! } : { everyMs };
}
