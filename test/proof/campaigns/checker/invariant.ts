import type { Study } from "./study.ts";

/** A rule that a history keeps or breaks. docs/proof/campaigns.md lists them by id. */
export interface Invariant {
  id: string;
  /** The rule, in a few words. */
  says: string;
  /** Returns each breach as a sentence, and none if the rule is kept. */
  breaches: (study: Study) => string[];
}
