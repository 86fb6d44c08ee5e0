import type { Conditions } from "./conditions.ts";
import type { ScenarioResult } from "./results.ts";

/** A kept result, with the conditions of its own run. */
export type KeptResult = ScenarioResult & { readonly conditions: Conditions };
