// Says once more what failed, since often only the end of a log is kept; then the line "N passed, N failed" of tests and campaigns.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({ options: { campaigns: { type: "string" } }, allowPositionals: true });
const say = (line) => void process.stdout.write(`${line}\n`);
let [passed, failed] = [0, 0];
for (const file of positionals) countTests(JSON.parse(readFileSync(file, "utf8")));
countCampaigns(readFileSync(values.campaigns, "utf8"));
say(`${passed} passed, ${failed} failed`);

function countTests(report) {
  passed += report.numPassedTests;
  failed += report.numFailedTests || (report.success ? 0 : 1); // a file that could not even be loaded has no tests
  const ours = (text) => withoutLines(text.split("\n"), /node_modules/);
  for (const { name, message, status, assertionResults } of report.testResults) {
    for (const test of assertionResults) {
      if (test.status !== "failed") continue;
      say(`FAILED ${name} > ${test.fullName}\n${ours(test.failureMessages.join("\n"))}`);
    }
    if (status === "failed" && message) say(`FAILED ${name}\n${ours(message)}`);
  }
}

function countCampaigns(log) {
  const [, kept = 0, campaigns = 1] = /^(\d+) of (\d+) campaigns kept/m.exec(log) ?? [];
  passed += Number(kept);
  failed += Number(campaigns) - Number(kept);
  const lines = log.split("\n");
  for (const seed of new Set(log.match(/^\[\d+\]/gm))) {
    const own = lines.filter((line) => line.startsWith(seed));
    if (own.some((line) => /all \d+ invariants kept/.test(line))) continue;
    say(`FAILED campaign ${withoutLines(own, /^\[\d+\] +[\d.]+ s  /)}`); // without the faults that it did
  }
}

function withoutLines(lines, which) {
  return lines.filter((line) => !which.test(line)).join("\n");
}
