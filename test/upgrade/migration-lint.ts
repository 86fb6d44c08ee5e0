import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const squawk = createRequire(import.meta.url).resolve("squawk-cli/js/bin/squawk");

/** How long squawk may take for a file, in ms. It usually takes a few ms. */
const deadlineMs = 30_000;

/** Migrations up to this one came before the first release, so no older code ever ran with them. */
const firstReleased = 7;

/**
 * Returns the names of the rules that a migration breaks when it is applied while workers of the
 * release before it run: squawk's rules and two of our own.
 */
export function lintMigration(version: number, text: string): string[] {
  return [...squawkRules(text), ...ownRules(version, text)];
}

/** Squawk's rules, with .squawk.toml. Throws if squawk failed. */
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
    throw new Error(`squawk failed: ${stderr || String(error)}`);
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
    found.push("concurrently-in-a-transaction"); // squawk reports it only for files with more than one statement
  }
  return found;
}
