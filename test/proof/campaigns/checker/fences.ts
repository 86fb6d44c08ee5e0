import type { Invariant } from "./invariant.ts";

/**
 * A fence is a pair: the server's timeline in the high bits, a number in the low bits
 * (drizzle/0004_keys.sql).
 */
const numberBits = 40n;
export const timelineOf = (fence: string): number => Number(BigInt(fence) >> numberBits);

/** Invariants on fences: a lock's fences show the order of its holders. */
export const fenceInvariants: Invariant[] = [
  {
    id: "S5f",
    says: "a lock's fences grow strictly from grant to grant",
    breaches(study) {
      const found: string[] = [];
      const promotions = study.of("fault").filter(({ kind }) => kind === "promote");
      for (const [key, grants] of Map.groupBy(study.of("granted"), (grant) => grant.key)) {
        const fences = grants.map(({ fence }) => BigInt(fence));
        // The standby's number may be any. Only the timeline makes its fences higher.
        for (const { from, to } of promotions) {
          const former = Math.max(0, ...grants.filter(({ at }) => at < from).map(({ fence }) => timelineOf(fence)));
          for (const { fence, askedAt } of grants) {
            if (askedAt > to && timelineOf(fence) <= former)
              found.push(`lock ${key}: fence ${fence} of timeline ${timelineOf(fence)} was given after a promotion`);
          }
        }
        if (new Set(fences).size < fences.length) found.push(`lock ${key}: a fence was given twice`);
        // A grant that came before another was asked for is the earlier one.
        for (const [place, grant] of grants.entries()) {
          for (let next = place + 1; next < grants.length; next += 1) {
            const later = grants[next]!;
            if (later.askedAt > grant.at && fences[next]! < fences[place]!)
              found.push(`lock ${key}: fence ${later.fence} was given after ${grant.fence}`);
          }
        }
      }
      return found;
    },
  },
  {
    id: "S14",
    says: "nothing is written under a lock after a later holder wrote",
    breaches({ final }) {
      const found: string[] = [];
      for (const [key, writes] of Map.groupBy(final.shelf, (write) => write.key)) {
        let highest = 0n;
        for (const { fence } of writes) {
          if (BigInt(fence) < highest) found.push(`lock ${key}: ${fence} wrote after ${highest} had`);
          else highest = BigInt(fence);
        }
      }
      return found;
    },
  },
];
