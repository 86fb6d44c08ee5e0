import type { Invariant } from "./invariant.ts";

/** That a lock's fences tell the order of its holders. */
export const fenceInvariants: Invariant[] = [
  {
    id: "S5f",
    says: "a lock's fences grow strictly from grant to grant",
    breaches(study) {
      const found: string[] = [];
      for (const [key, grants] of Map.groupBy(study.of("granted"), (grant) => grant.key)) {
        const fences = grants.map(({ fence }) => BigInt(fence));
        if (new Set(fences).size < fences.length) found.push(`lock ${key}: one fence was given twice`);
        // Who was granted it before another asked for it was granted it first.
        for (const [place, grant] of grants.entries()) {
          for (const later of grants.slice(place + 1)) {
            if (later.askedAt > grant.at && BigInt(later.fence) < BigInt(grant.fence))
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
