import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { chartOf } from "./chart.ts";
import { describe } from "./conditions.ts";
import type { KeptResult } from "./kept-result.ts";
import { performanceSection } from "./performance.ts";
import { tableOf } from "./results.ts";
import { scaleSection } from "./scale-table.ts";

const root = join(import.meta.dirname, "..", "..");

/** Results that are not kept go into a folder that git ignores. */
export function resultsFolder({ isKept }: { isKept: boolean }): string {
  return isKept ? join(root, "bench", "results") : join(root, "bench", "results", "quick");
}

/**
 * Keeps the result of one scenario in a file of its own, so that scenarios can run one at a time,
 * in any order.
 */
export async function keep(folder: string, result: KeptResult): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(fileOf(folder, result.scenario), `${JSON.stringify(result, undefined, 2)}\n`);
}

/** The results in a folder, in the order of the scenarios. */
export async function keptResults(folder: string, order: readonly string[]): Promise<KeptResult[]> {
  const kept: KeptResult[] = [];
  for (const scenario of order) {
    const text = await readFile(fileOf(folder, scenario), "utf8").catch(() => undefined);
    if (text !== undefined) kept.push(JSON.parse(text) as KeptResult);
  }
  return kept;
}

/**
 * Draws tables and charts from all results in a folder. Kept results also update the sections of
 * the documents.
 */
export async function draw(folder: string, order: readonly string[]): Promise<void> {
  const all = await keptResults(folder, order);
  const scale = scaleSection(all);
  await writeFile(join(folder, "tables.md"), tablesOf(all));
  await writeFile(join(folder, "scale.md"), `# Scaling\n\n${scale}\n`);
  await writeFile(join(folder, "chart.svg"), chartOf(all));
  const { table, headlines } = performanceSection(all);
  await writeFile(join(folder, "performance.svg"), chartOf(headlines));
  if (folder !== resultsFolder({ isKept: true })) return;
  await rewrite(join(root, "README.md"), "performance", table);
  await rewrite(join(root, "docs", "explanation", "scaling.md"), "scale", scale);
}

/** All tables, each with the conditions it was measured under, and the options of the adapters. */
export function tablesOf(all: readonly KeptResult[]): string {
  const adapters = new Set(
    all.flatMap(({ conditions }) =>
      conditions.adapters.map(({ name, version, options }) => `- **${name}** (${version}): ${options}`),
    ),
  );
  const tables = all.map((result) => `${tableOf(result)}\n\n${describe(result.conditions)}`);
  return `${["# Results", [...adapters].join("\n"), ...tables].join("\n\n")}\n`;
}

async function rewrite(file: string, section: string, content: string): Promise<void> {
  await writeFile(file, withSection(await readFile(file, "utf8"), section, content));
}

/**
 * Returns a document with the content between the marks of a section replaced.
 * @throws Error if the two marks are missing
 */
export function withSection(document: string, section: string, content: string): string {
  const [start, end] = [`<!-- bench: ${section} -->`, `<!-- bench: end of ${section} -->`];
  const [from, to] = [document.indexOf(start), document.indexOf(end)];
  if (from === -1 || to < from) throw new Error(`There is no section between ${start} and ${end}.`);
  return `${document.slice(0, from + start.length)}\n\n${content}\n\n${document.slice(to)}`;
}

function fileOf(folder: string, scenario: string): string {
  return join(folder, `${scenario.replaceAll(":", "-")}.json`);
}
