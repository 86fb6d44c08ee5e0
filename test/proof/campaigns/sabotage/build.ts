import type { PlannedKind } from "../campaign/schedule.ts";

/** A change of the product's source, from the root; `from` stands there exactly once. */
export interface Edit {
  file: string;
  from: string;
  to: string;
}

/** A build of Hark from which one guard was taken out, and the campaign that must notice. */
export interface Build {
  name: string;
  /** What it does wrong. */
  does: string;
  edits: Edit[];
  /** Invariants of which at least one must be broken. */
  breaks: string[];
  /** The faults that bring it to light; all if not given. */
  only?: PlannedKind[];
  minutes?: number;
  jobsPerSecond?: number;
  leaseMs?: number;
}

/** Where much of what they change stands. */
export const statements = "packages/core/src/statements";
export const moves = "drizzle/0001_functions_and_triggers.sql";
