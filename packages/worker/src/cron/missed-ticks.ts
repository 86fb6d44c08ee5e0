import type { statements } from "@hark/core/internal";
import { newestTicks, type Ticks } from "./rule.ts";

/** Most missed ticks that "all" fires, the newest ones. Kubernetes' CronJob has the same limit. */
const mostMadeUp = 100;

/**
 * A newest tick that is not older than this is late and not missed, in ms: a deploy or a failover
 * is over by then.
 */
const lateMs = 60_000;

export interface DueTicks {
  /** The ticks to fire, in epoch ms, the oldest first. */
  readonly tickMs: readonly number[];
  /** The first tick that is not due yet; undefined if there is none. */
  readonly nextAtMs: number | undefined;
}

/**
 * Returns which ticks of a schedule to fire, now that the tick `dueAtMs` is due, by its rule for
 * missed ticks. All times are in epoch ms.
 */
export function dueTicks(
  ticks: Ticks,
  missed: statements.MissedTicks,
  { dueAtMs, nowMs }: { dueAtMs: number; nowMs: number },
): DueTicks {
  const nextAtMs = ticks.next(nowMs);
  const newest = newestTicks(ticks, dueAtMs, nowMs, missed === "all" ? mostMadeUp : 1);
  const due = newest.length > 0 ? newest : [dueAtMs]; // the scheduler that computed it had other zone data
  const isMissed = missed === "none" && nowMs - due.at(-1)! > lateMs;
  return { tickMs: isMissed ? [] : due, nextAtMs };
}
