import type { Disturbance, Study } from "./study.ts";

/** How long a process that nothing holds up may take to learn of a lost claim, in ms. */
export const newsMs = 1_500;

/**
 * Disturbances that stop the process itself, in contrast to those that cut it off from the
 * database.
 */
export const standstills: readonly Disturbance[] = ["stop", "block", "stall"];

/**
 * Until when a process may still act on a claim that ended: until it has learned of it, once
 * nothing holds it up.
 */
export function graceEnd(study: Study, endedAt: number, pid: number): number {
  return heldUp(study, pid, endedAt + newsMs, standstills);
}

/**
 * The latest moment for what a process should have done by `until`, if disturbances of these kinds
 * hold it up.
 */
export function heldUp(study: Study, pid: number, until: number, kinds: readonly Disturbance[]): number {
  let end = until;
  for (const { kind, from, to } of study.disturbancesOf(study.nameOf(pid))) {
    if (kinds.includes(kind) && from <= end && to + newsMs > end) end = to + newsMs;
  }
  return end;
}
