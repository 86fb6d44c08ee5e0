import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { cpus, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Adapter } from "./adapter.ts";
import { chartOf } from "./chart.ts";
import { type ScenarioResult, tableOf } from "./results.ts";

/** Under which conditions figures were taken: they mean nothing without. */
export interface Conditions {
  readonly machine: string;
  readonly node: string;
  readonly stores: readonly string[];
  readonly repetitions: number;
  readonly isQuick: boolean;
  readonly adapters: readonly { name: string; version: string; options: string }[];
  readonly leftOut: readonly string[];
}

const results = join(dirname(fileURLToPath(import.meta.url)), "..", "results");

/** What this machine and these adapters are. */
export async function conditionsOf(
  adapters: readonly Adapter[],
  rest: Pick<Conditions, "stores" | "repetitions" | "isQuick" | "leftOut">,
): Promise<Conditions> {
  return {
    machine: `${cpus().length} x ${cpus()[0]?.model.trim() ?? "CPU"}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    node: process.versions.node,
    ...rest,
    adapters: await Promise.all(
      adapters.map(async ({ name, options, packageName }) => ({
        name,
        version: await versionOf(packageName),
        options,
      })),
    ),
  };
}

async function versionOf(packageName: string | undefined): Promise<string> {
  if (packageName === undefined) return "this repository";
  // Packages do not export their package.json, so it is looked for above their entry.
  const { resolve } = createRequire(import.meta.url);
  for (let folder = dirname(resolve(packageName)); folder !== dirname(folder); folder = dirname(folder)) {
    const text = await readFile(join(folder, "package.json"), "utf8").catch(() => "{}");
    const manifest = JSON.parse(text) as { name?: string; version?: string };
    if (manifest.name === packageName && manifest.version !== undefined) return manifest.version;
  }
  throw new Error(`There is no package.json of ${packageName} above its entry.`);
}

/**
 * Writes one JSON file for each scenario, then tables.md and chart.svg over all scenarios that have one: a run of some
 * scenarios leaves the others' figures, each with the conditions of its own run. Answers the folder.
 */
export async function writeResults(
  measured: readonly ScenarioResult[],
  conditions: Conditions,
  order: readonly string[],
) {
  const folder = conditions.isQuick ? join(results, "quick") : results;
  await mkdir(folder, { recursive: true });
  for (const result of measured) {
    await writeFile(fileOf(folder, result.scenario), `${JSON.stringify({ ...result, conditions }, undefined, 2)}\n`);
  }
  const all: (ScenarioResult & { conditions: Conditions })[] = [];
  for (const scenario of order) {
    const text = await readFile(fileOf(folder, scenario), "utf8").catch(() => undefined);
    if (text !== undefined) all.push(JSON.parse(text) as (typeof all)[number]);
  }
  await writeFile(join(folder, "tables.md"), `${describe(conditions)}\n\n${all.map(tableOf).join("\n\n")}\n`);
  await writeFile(
    join(folder, "chart.svg"),
    chartOf(all, `${conditions.machine}, ${conditions.stores.join(", ").split(" (")[0]}`),
  );
  return folder;
}

function fileOf(folder: string, scenario: string): string {
  return join(folder, `${scenario.replace(":", "-")}.json`);
}

/** The conditions of the last run, in Markdown. */
export function describe({ machine, node, stores, repetitions, isQuick, adapters, leftOut }: Conditions): string {
  return [
    "# Results",
    "",
    `${machine}; Node ${node}; ${stores.join("; ")}. ${isQuick ? "A quick run: small counts, one repetition." : `Medians of ${repetitions}, adapters alternating.`}`,
    "",
    ...adapters.map(({ name, version, options }) => `- **${name}** (${version}): ${options}`),
    ...leftOut.map((name) => `- **${name}** is left out: there is no redis-server on this machine.`),
  ].join("\n");
}
