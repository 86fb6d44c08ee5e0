import { checkName, errorText, loggable, maskPasswords, parseDuration, storableText } from "@hark/core";
import { expect, test } from "vitest";
import { hideValues } from "../../packages/core/dist/redact.js";
import { firstLine } from "../../packages/job-manager/dist/routes/dead-letters.js";

/* SEC-35: what reads text from strangers takes time in proportion to its length, whatever it holds. */

const patterns = ["a", " ", "a ", "1", ":", "/", "a://", "a://b:", '"', "\\", "\n", "\u2028", "-", "0.", "\ud800", "é"];
const readers: [name: string, read: (text: string) => unknown][] = [
  ["names", (text) => checkName("queue", text)],
  ["durations", (text) => parseDuration("delay", text as never)],
  ["stored texts", (text) => storableText(text)],
  ["error texts", (text) => errorText(new Error(text))],
  ["errors for the log", (text) => loggable(new Error(text))],
  ["passwords in short texts", (text) => maskPasswords(text.slice(0, 500))],
  [
    "values in messages",
    (text) => hideValues(text.slice(0, 10_000), { text: text.slice(0, 100), list: [text.slice(0, 9)] }),
  ],
  ["first lines", firstLine],
];

test.for(readers)("%s", ([, read]) => {
  const tookMs = (text: string) => {
    const startedAt = performance.now();
    try {
      read(text);
    } catch {
      // refused, and that took its time too
    }
    return performance.now() - startedAt;
  };
  for (const pattern of patterns) {
    for (const end of ["", "!", "@", "://x:y@z"]) {
      const text = pattern.repeat(Math.ceil(200_000 / pattern.length)) + end;
      // The best of three: another process may have had the machine. Quadratic would be seconds.
      expect(Math.min(tookMs(text), tookMs(text), tookMs(text)), JSON.stringify(pattern + end)).toBeLessThan(100);
    }
  }
});
