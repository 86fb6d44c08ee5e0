import type { Study } from "./study.ts";

/** A rule that a history keeps or breaks. The letters and numbers are those of reliability.md, section 6.4, where it has them. */
export interface Invariant {
  id: string;
  /** In a few words, as it should be. */
  says: string;
  /** Each breach in a sentence; none if the rule is kept. */
  breaches: (study: Study) => string[];
}
