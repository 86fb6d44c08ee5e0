import type { Disturbance, Study } from "./study.ts";

/** How long the news of a lost claim may take to a process that nothing holds up, in ms. */
export const newsMs = 1_500;

/** What keeps a process itself from hearing of anything, in contrast to what keeps it from the database. */
export const standstills: readonly Disturbance[] = ["stop", "block", "stall"];

/** Until when a process may still act on a claim that ended: until the news of it, once nothing holds the process up. */
export function graceEnd(study: Study, endedAt: number, pid: number): number {
  return heldUp(study, pid, endedAt + newsMs, standstills);
}

/** Until when a process may do what it should have done by `until`, if disturbances of these kinds hold it up. */
export function heldUp(study: Study, pid: number, until: number, kinds: readonly Disturbance[]): number {
  let end = until;
  for (const { kind, from, to } of study.disturbancesOf(study.nameOf(pid))) {
    if (kinds.includes(kind) && from <= end && to + newsMs > end) end = to + newsMs;
  }
  return end;
}
