// @module-tag SEC-35
import { checkName, errorText, loggable, maskSecrets, parseDuration, storableText } from "@hark/core/internal";
import { expect, test } from "vitest";
import { hideValues } from "../../packages/core/dist/redact.js";
import { lastError } from "../../packages/job-manager/dist/dead-letters.js";

/*
 * SEC-35: code that reads untrusted text takes time in proportion to its length, whatever it holds.
 */

const patterns = ["a", " ", "a ", "1", ":", "/", "a://", "a://b:", '"', "\\", "\n", "\u2028", "-", "0.", "\ud800", "é"];
const readers: [name: string, read: (text: string) => unknown][] = [
  ["names", (text) => checkName("queue", text)],
  ["durations", (text) => parseDuration("delay", text as never)],
  ["stored texts", (text) => storableText(text)],
  ["error texts", (text) => errorText(new Error(text))],
  ["errors for the log", (text) => loggable(new Error(text))],
  ["passwords in short texts", (text) => maskSecrets(text.slice(0, 500))],
  [
    "values in messages",
    (text) => hideValues(text.slice(0, 10_000), { text: text.slice(0, 100), list: [text.slice(0, 9)] }),
  ],
  ["last errors", lastError],
];

/**
 * CPU time of this thread for reading a text, in ms: the least of three, since other processes
 * share the caches. Clock time would include other processes.
 */
function cpuMs(read: (text: string) => unknown, text: string): number {
  const once = () => {
    const before = process.threadCpuUsage();
    try {
      read(text);
    } catch {
      // refusing takes time too
    }
    const { user, system } = process.threadCpuUsage(before);
    return (user + system) / 1_000;
  };
  return Math.min(once(), once(), once());
}

test.for(readers)("%s", ([, read]) => {
  for (const pattern of patterns) {
    for (const end of ["", "!", "@", "://x:y@z"]) {
      const textOf = (length: number) => pattern.repeat(Math.ceil(length / pattern.length)) + end;
      const short = cpuMs(read, textOf(20_000));
      // For eight times the text a linear reader takes 8 times as long, a quadratic one 64 times.
      expect(cpuMs(read, textOf(160_000)), JSON.stringify(pattern + end)).toBeLessThan(24 * short + 20);
    }
  }
});
