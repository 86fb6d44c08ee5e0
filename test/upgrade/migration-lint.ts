import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const squawk = createRequire(import.meta.url).resolve("squawk-cli/js/bin/squawk");

/** How long squawk may take over a file, in ms; it takes some. */
const deadlineMs = 30_000;

/** Migrations up to here are of the time before the first release: no older code ever met them. */
const firstReleased = 7;

/**
 * Answers what is wrong with a migration that would be applied while workers of the release before it run: squawk's rules by name,
 * and two of our own. Nothing, if it may go.
 */
export function lintMigration(version: number, text: string): string[] {
  return [...squawkRules(text), ...ownRules(version, text)];
}

/** By squawk, under .squawk.toml. Throws if it could not look. */
function squawkRules(text: string): string[] {
  const isOutside = /^-- Outside a transaction\b/m.test(text);
  const { stdout, stderr, status, error } = spawnSync(
    process.execPath,
    [
      squawk,
      "--config=.squawk.toml",
      isOutside ? "--no-assume-in-transaction" : "--assume-in-transaction",
      "--reporter=json",
      "--stdin-filepath=migration.sql",
    ],
    { cwd: root, input: text, encoding: "utf8", timeout: deadlineMs },
  );
  if (error || (status !== 0 && status !== 1) || stdout.trim() === "")
    throw new Error(`squawk did not look: ${stderr || String(error)}`);
  return (JSON.parse(stdout) as { rule_name: string }[]).map(({ rule_name: rule }) => rule);
}

function ownRules(version: number, text: string): string[] {
  const found: string[] = [];
  if (version > firstReleased) {
    const oldestCode = Number(/^-- Oldest code: version (\d+)\b/m.exec(text)?.[1] ?? version);
    if (oldestCode >= version) found.push("shuts-out-the-release-before");
  }
  const statements = text.split("--> statement-breakpoint").map((each) => each.replaceAll(/^--.*$/gm, "").trim());
  if (/^-- Outside a transaction\b/m.test(text)) {
    if (statements.some((each) => each !== "" && (!/\bconcurrently\b/i.test(each) || /;\s*\S/.test(each))))
      found.push("outside-for-no-reason");
  } else if (statements.some((each) => /\b(create|drop|reindex)\b[^;]*\bconcurrently\b/i.test(each))) {
    found.push("concurrently-in-a-transaction"); // squawk says so only of files with more than one statement
  }
  return found;
}
