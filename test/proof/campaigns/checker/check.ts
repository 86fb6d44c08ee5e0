import { fenceInvariants } from "./fences.ts";
import type { Invariant } from "./invariant.ts";
import { jobInvariants } from "./jobs.ts";
import { livenessInvariants } from "./liveness.ts";
import { runInvariants } from "./runs.ts";
import { type History, Study } from "./study.ts";

/** The result of one invariant. */
export interface Verdict {
  id: string;
  says: string;
  /** The first breaches, each in a sentence. */
  breaches: string[];
  /** How many there are. */
  count: number;
}

/** How many breaches of one invariant are kept. A badly broken build has millions. */
const mostKept = 100;

export const invariants: readonly Invariant[] = [
  ...jobInvariants,
  ...runInvariants,
  ...fenceInvariants,
  ...livenessInvariants,
];

/**
 * Decides every invariant over one history. It is a pure function: it reads no clock and no
 * database.
 */
export function check(history: History): Verdict[] {
  const study = new Study(history);
  return invariants.map(({ id, says, breaches }) => {
    const found = breaches(study);
    return { id, says, breaches: found.slice(0, mostKept), count: found.length };
  });
}
