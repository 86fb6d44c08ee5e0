import type { Outcome } from "@hark/core";
import { escapeBeyond } from "@hark/core/internal";

/**
 * The highest characters that are left as they are, one try after the other: of LATIN1, of ASCII.
 */
const encodings = [0xff, 0x7f];

/**
 * The same outcome with fewer characters, for a database whose encoding lacks some of them (FM-86).
 * Undefined if it has none to spare.
 */
export function escapedOutcome(outcome: Outcome): Outcome | undefined {
  for (const highest of encodings) {
    const escaped = { ...outcome };
    if ("error" in escaped && escaped.error !== null) escaped.error = escapeBeyond(highest, escaped.error);
    if ("resultJson" in escaped && escaped.resultJson !== null)
      escaped.resultJson = escapeBeyond(highest, escaped.resultJson, { isJson: true });
    if (JSON.stringify(escaped) !== JSON.stringify(outcome)) return escaped;
  }
  return undefined;
}
