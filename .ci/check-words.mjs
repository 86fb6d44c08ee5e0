// Refuses words and phrases that make the text hard to read, each with what to write instead.
// Spelling is cspell's. To add a word, add a row.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/**
 * What is refused, and what to write instead. Words are matched whole, in any case unless the flags
 * say otherwise.
 */
const refused = [
  [/\bAnswers\b(?! (?:come|came|arrive|that|to|are|may)\b)/, "Returns"],
  [/\banswers (?:the|a|an|how|whether|each|what|which|true|false|undefined|null)\b/i, "returns"],
  [/\bwhoever\b/i, "say who: the worker, the process, the caller"],
  [
    /\bwho (?:sleeps?|waits?|looks?|asks?|claims?|listens?|was woken|is woken|would fall)\b/i,
    "name the part: the worker, the idle policy",
  ],
  [/\banew\b/i, "again"],
  [/\boftener\b/i, "more often"],
  [/\bthe (?:mission|card|paper)\b/i, "say what it is: the URL job API, the design, a decision record"],
  [/\bproduct's owner\b/i, "leave it out"],
  [/\bmission\b/i, "URL job"],
  [/\b(?:appetite|hungry)\b/i, "prefetch, demand"],
  [/\b(?:settle|take|taken|takes|took)(?:s|d)? along\b/i, "piggyback"],
  [/\bin halves\b/i, "bisect"],
  [/\bin vain\b/i, "spurious"],
  [/\bdeaf\b/i, "uninterruptible, or: without notifications"],
  [
    /\b(?:reliability|performance|storage|design|features|ecosystem|style|workflows|house|faults)\.md\b/,
    "cite a document of the repository",
  ],
  [/\bburn(?:s|ed|ing)? (?:the|its|an|no) attempt\b/i, "use up an attempt"],
  [/\bnot good manners\b/i, "say what enforces it"],
  [/\bas wrong as may be\b/i, "skewed clocks"],
  [/\bwants (?:the|a|an|nothing|no)\b/i, "expects, needs"],
  [/\bTODO\b|\bFIXME\b|\bXXX\b/, "do it, or leave it out"],
];

const files = execFileSync("git", ["ls-files", "*.ts", "*.mjs", "*.md", "*.sql"], { encoding: "utf8" })
  .trim()
  .split("\n")
  .filter((file) => file !== ".ci/check-words.mjs");

let found = 0;
for (const file of files)
  for (const [place, line] of readFileSync(file, "utf8").split("\n").entries())
    for (const [pattern, instead] of refused) {
      const word = pattern.exec(line)?.[0];
      if (word === undefined) continue;
      found += 1;
      process.stderr.write(`${file}:${place + 1}: "${word}": write ${instead}\n`);
    }
if (found > 0) {
  process.stderr.write(`${found} places\n`);
  process.exitCode = 1;
}
