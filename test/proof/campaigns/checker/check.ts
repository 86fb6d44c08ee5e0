import { fenceInvariants } from "./fences.ts";
import type { Invariant } from "./invariant.ts";
import { jobInvariants } from "./jobs.ts";
import { livenessInvariants } from "./liveness.ts";
import { runInvariants } from "./runs.ts";
import { type History, Study } from "./study.ts";

/** What became of one invariant. */
export interface Verdict {
  id: string;
  says: string;
  /** Each in a sentence, the first of them. */
  breaches: string[];
  /** How many there are. */
  count: number;
}

/** Most breaches of one invariant that are kept: a build that is broken enough has millions. */
const mostKept = 100;

export const invariants: readonly Invariant[] = [
  ...jobInvariants,
  ...runInvariants,
  ...fenceInvariants,
  ...livenessInvariants,
];

/** Decides every invariant over one history: a pure function, which looks at no clock and no database. */
export function check(history: History): Verdict[] {
  const study = new Study(history);
  return invariants.map(({ id, says, breaches }) => {
    const found = breaches(study);
    return { id, says, breaches: found.slice(0, mostKept), count: found.length };
  });
}
