import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { cpus, totalmem } from "node:os";
import { dirname } from "node:path";
import { promisify } from "node:util";
import type { Adapter } from "./adapter.ts";

/** The conditions that figures were measured under. Figures mean nothing without them. */
export interface Conditions {
  /** When, as ISO 8601 in UTC. */
  readonly measuredAt: string;
  /** The short hash of the measured commit, with a + behind it if the working tree had changes. */
  readonly commit: string;
  readonly machine: string;
  readonly node: string;
  /** The servers, with their versions and durability settings. */
  readonly stores: readonly string[];
  readonly rounds: number;
  readonly isQuick: boolean;
  /** How long all rounds of all adapters took, in s. */
  readonly tookSeconds: number;
  readonly adapters: readonly { name: string; packageName?: string; version: string; options: string }[];
  /** Adapters that were not measured, and why, in words. */
  readonly leftOut: readonly string[];
}

/** What stays the same for all scenarios of one bench run. */
export type Surroundings = Pick<Conditions, "commit" | "machine" | "node" | "stores" | "isQuick">;

export async function surroundingsOf(rest: Pick<Conditions, "stores" | "isQuick">): Promise<Surroundings> {
  return {
    commit: await commitOf(),
    machine: `${cpus().length} x ${cpus()[0]?.model.trim() ?? "CPU"}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    node: process.versions.node,
    ...rest,
  };
}

/** The installed versions of these adapters' packages. */
export async function versionsOf(adapters: readonly Adapter[]): Promise<Conditions["adapters"]> {
  return Promise.all(
    adapters.map(async ({ name, options, packageName }) => ({
      name,
      ...(packageName === undefined ? {} : { packageName }),
      version: await versionOf(packageName),
      options,
    })),
  );
}

/** Files that the bench itself writes. They do not count as changes of the measured code. */
const written = [":!bench/results", ":!README.md", ":!docs"];

async function commitOf(): Promise<string> {
  const git = async (...args: string[]): Promise<string> =>
    (await promisify(execFile)("git", args, { cwd: import.meta.dirname, timeout: 10_000 })).stdout.trim();
  try {
    const changes = await git("status", "--porcelain", "--", ":/", ...written.map((path) => path.replace("!", "!/")));
    return `${await git("rev-parse", "--short", "HEAD")}${changes === "" ? "" : "+"}`;
  } catch {
    return "unknown"; // no git, or no repository: a copy of the files
  }
}

async function versionOf(packageName: string | undefined): Promise<string> {
  if (packageName === undefined) return "this repository";
  // Packages do not export their package.json, so it is searched for in the folders above their
  // entry.
  const { resolve } = createRequire(import.meta.url);
  for (let folder = dirname(resolve(packageName)); folder !== dirname(folder); folder = dirname(folder)) {
    const text = await readFile(`${folder}/package.json`, "utf8").catch(() => "{}");
    const manifest = JSON.parse(text) as { name?: string; version?: string };
    if (manifest.name === packageName && manifest.version !== undefined) return manifest.version;
  }
  throw new Error(`There is no package.json of ${packageName} above its entry.`);
}

/** The day and the commit, for places with little room. */
export function briefly({ measuredAt, commit, rounds, isQuick }: Conditions): string {
  const how = isQuick ? "a quick run" : rounds === 1 ? "one round" : `medians of ${rounds}`;
  return `${measuredAt.slice(0, 10)}, ${commit}, ${how}`;
}

/** Machine, servers and their settings, as one sentence of Markdown. */
export function settingOf({ machine, node, stores }: Conditions): string {
  return `${machine}; Node ${node}; ${stores.join("; ")}.`;
}

/** The peers' packages, each named once. */
export function packagesOf(all: readonly Conditions[]): string {
  const names = all.flatMap(({ adapters }) =>
    adapters.flatMap(({ packageName, version }) => (packageName === undefined ? [] : [`${packageName} ${version}`])),
  );
  return [...new Set(names)].join(", ");
}

/** How many rounds were measured, in words. */
export function roundsOf({ rounds, isQuick }: Conditions): string {
  if (isQuick) return "**A quick run**: small counts, one round.";
  return rounds === 1 ? "One round." : `Medians of ${rounds} rounds, the order of the adapters alternating.`;
}

/** Everything but the adapters' options, as one paragraph of Markdown to put under a table. */
export function describe(conditions: Conditions): string {
  const { measuredAt, commit, tookSeconds, leftOut } = conditions;
  const packages = packagesOf([conditions]);
  return [
    `Measured ${measuredAt.slice(0, 16).replace("T", " ")} UTC at commit \`${commit}\`, in ${Math.round(tookSeconds)} s.`,
    roundsOf(conditions),
    settingOf(conditions),
    ...(packages ? [`${packages}.`] : []),
    ...(leftOut.length ? [`Left out: ${leftOut.join("; ")}.`] : []),
  ].join(" ");
}

/**
 * The conditions of results that share one table: a line for each day, commit and machine, and the
 * packages.
 */
export function describeTogether(all: readonly Conditions[]): string {
  const groups = new Map<string, Conditions[]>();
  for (const one of all) {
    const key = [one.measuredAt.slice(0, 10), one.commit, one.machine, one.node, one.isQuick].join();
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  const lines = [...groups.values()].map((group) => {
    const [first] = group as [Conditions];
    const rounds = [...new Set(group.map(roundsOf))].join(" Or, where the figure is an amount or a ratio: ");
    const stores = [...new Set(group.flatMap((one) => one.stores))];
    return `Measured ${first.measuredAt.slice(0, 10)} at commit \`${first.commit}\`. ${rounds} ${settingOf({ ...first, stores })}`;
  });
  const packages = packagesOf(all);
  return [...lines, ...(packages ? [`${packages}.`] : [])].join("\n");
}
