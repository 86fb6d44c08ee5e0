import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { builds } from "./builds.ts";
import type { BuildResult } from "./run-build.ts";

const root = fileURLToPath(new URL("../../../../", import.meta.url));
const document = join(root, "docs/proof/campaigns.md");
const begin = "<!-- sabotaged builds: written by pnpm run proof sabotage -->";
const end = "<!-- end of sabotaged builds -->";

/**
 * Writes results into the table of docs/proof/campaigns.md. Rows of builds that were not run stay.
 */
export async function writeTable(results: readonly BuildResult[]): Promise<void> {
  const text = await readFile(document, "utf8");
  const [before, rest] = text.split(begin);
  const [table = "", after] = (rest ?? "").split(end);
  if (after === undefined)
    throw new Error(`docs/proof/campaigns.md has no place for the table, between "${begin}" and "${end}"`);

  const rows = new Map(
    table
      .split("\n")
      .filter((line) => line.startsWith("| `"))
      .map((line) => [line.split("`")[1]!, line]),
  );
  for (const result of results) rows.set(result.build.name, rowOf(result));
  const known = builds.flatMap(({ name }) => rows.get(name) ?? []);
  const head = ["| build | what it does | seed | seconds | broken |", "| --- | --- | --- | --- | --- |"];
  await writeFile(document, `${before}${begin}\n\n${[...head, ...known].join("\n")}\n\n${end}${after}`);
  await promisify(execFile)(join(root, "node_modules/.bin/oxfmt"), [document]);
}

function rowOf({ build, seed, seconds, broken, caughtBy }: BuildResult): string {
  const others = broken.map(({ id }) => id).filter((id) => !caughtBy.includes(id));
  const by = caughtBy.length === 0 ? "not caught" : [`**${caughtBy.join(", ")}**`, ...others].join(", ");
  return `| \`${build.name}\` | ${build.does} | ${seed} | ${seconds} | ${by} |`;
}
