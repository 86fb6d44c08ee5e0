import { newsMs } from "../campaigns/checker/grace.ts";
import type { Invariant } from "../campaigns/checker/invariant.ts";
import { overlaps } from "../campaigns/checker/overlaps.ts";
import type { Study } from "../campaigns/checker/study.ts";
import type { EntryOf, FaultKind } from "../campaigns/ledger/entries.ts";
import { outOfOrder } from "./order.ts";
import { standingMs } from "./standing.ts";

type Start = EntryOf<"started">;

/**
 * This share of the judged runs may begin before a more urgent job of their key. The promise is
 * "nearly": a claim may pass over rows that another claim holds locked.
 */
const overtaken = 0.01;

/**
 * Invariants on keys, beside those of every campaign. They excuse nothing that only the database
 * says.
 */
export const keyInvariants: Invariant[] = [
  {
    id: "K1",
    says: "no two runs of a key overlap, unless a process had died, stood still for a lease, or a cancel was asked for",
    breaches(study) {
      const askedAt = new Map(study.of("cancel asked").map(({ id, at }) => [id, at]));
      const wasAsked = ({ id }: Start, at: number) => (askedAt.get(id) ?? Number.POSITIVE_INFINITY) <= at;
      const withKey = study.of("started").filter(({ key }) => key !== undefined);
      return overlaps(study, withKey).flatMap(({ key, former, run }) => {
        const isExplained =
          wasAsked(former, run.at) ||
          wasAsked(run, run.at) ||
          stoodStill(study, former, { from: former.at, to: run.at }) ||
          stoodStill(study, run, { from: run.at - newsMs, to: run.at }) ||
          // A renewal is given up after a third of the lease: such sessions keep no lease.
          study.slowestSession(former.at, run.at) * 3 > study.promises.leaseMs ||
          hasCompleted(study, former, run.at);
        return isExplained
          ? []
          : [`key ${key}: job ${run.id} started while job ${former.id} ran, and neither was held up`];
      });
    },
  },
  {
    id: "K2",
    says: "of a key the most urgent waiting job runs first, then the oldest",
    breaches(study) {
      const { judged, found } = outOfOrder(study);
      return found.length <= judged * overtaken ? [] : found;
    },
  },
  {
    id: "K3",
    says: "no key is left standing: none of its jobs is parked without one that is ready or runs",
    breaches: (study) =>
      study
        .of("standing")
        .filter(({ forMs }) => forMs > standingMs)
        .map(({ key, forMs }) => `key ${key}: jobs were parked for ${forMs} ms while none was ready or ran`),
  },
];

/**
 * A job that completes in its handler's own transaction frees its key just before the handler
 * returns.
 */
function hasCompleted(study: Study, { id, token, does }: Start, at: number): boolean {
  const end = study.ends.get(`${id} ${token}`);
  return does === "effect" && end?.how === "returned" && end.at - at <= newsMs;
}

/** Faults in which a process stands still. */
const standstills: readonly FaultKind[] = ["stop", "stall"];

/**
 * Whether a run's process stood still, at some time between two moments, for so long that its lease
 * may have run out.
 */
function stoodStill(study: Study, { pid }: Start, { from, to }: { from: number; to: number }): boolean {
  // The lease was last renewed up to a third of its length before.
  const longMs = (study.promises.leaseMs * 2) / 3;
  return study
    .faultsOn(study.nameOf(pid))
    .some(
      (fault) =>
        standstills.includes(fault.kind) &&
        fault.from <= to &&
        fault.to >= from &&
        Math.min(fault.to, to) - fault.from >= longMs,
    );
}
