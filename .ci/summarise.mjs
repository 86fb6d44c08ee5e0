/**
 * Repeats what failed, since often only the end of a log is kept. Then prints the line
 * "N passed, N failed".
 *
 *   node .ci/summarise.mjs <checks that passed> [check that failed ...]
 *
 * Tests are counted from `.scratch/report-*.json`. Exits with 1 if anything failed.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";

const say = (line) => void process.stdout.write(`${line}\n`);
const [checks, ...failedChecks] = process.argv.slice(2);
let passed = Number(checks);
let failed = failedChecks.length;
const reports = existsSync(".scratch") ? readdirSync(".scratch").filter((name) => /^report-.*\.json$/.test(name)) : [];
for (const report of reports.toSorted()) countTests(JSON.parse(readFileSync(`.scratch/${report}`, "utf8")));
for (const check of failedChecks) say(`FAILED ${check}`);
say(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

function countTests(report) {
  passed += report.numPassedTests;
  failed += report.numFailedTests;
  const ours = (text) =>
    text
      .split("\n")
      .filter((line) => !line.includes("node_modules"))
      .join("\n");
  for (const { name, message, status, assertionResults } of report.testResults) {
    for (const test of assertionResults) {
      if (test.status !== "failed") continue;
      say(`FAILED ${name} > ${test.fullName}\n${ours(test.failureMessages.join("\n"))}`);
    }
    if (status === "failed" && message) say(`FAILED ${name}\n${ours(message)}`);
  }
}
