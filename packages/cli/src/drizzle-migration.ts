import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import type { Migration } from "@hark/core/internal";
import { migrationScript, scriptRange } from "./migration-script.ts";
import { UsageError } from "./usage-error.ts";

/** What was written, or only `to` if the folder was up to date. */
export interface DrizzleMigration {
  /** Relative to the working directory. Undefined if nothing was written. */
  readonly file: string | undefined;
  readonly from: number;
  readonly to: number;
}

/** Longest run of drizzle-kit, in ms. It takes about a second. */
const generateMs = 60_000;

/**
 * Adds Hark's migrations to the migrations of a project that uses drizzle-kit, as one custom
 * migration. It starts after the version that the folder's earlier custom migrations end with. The
 * project's own drizzle-kit makes the empty migration, since folders and snapshots differ between
 * its versions.
 * @throws UsageError if the project has no drizzle-kit, or if drizzle-kit makes no migration
 */
export async function writeDrizzleMigration(
  folder: string,
  migrations: readonly Migration[],
): Promise<DrizzleMigration> {
  const before = await sqlFilesIn(folder);
  const ranges = await Promise.all(before.map(async (file) => scriptRange(await readFile(file, "utf8"))));
  const from = Math.max(0, ...ranges.map((range) => range?.to ?? 0));
  const to = migrations.length;
  if (from >= to) return { file: undefined, from, to };

  await generateEmpty(folder, `hark_${to}`);
  const [file] = (await sqlFilesIn(folder)).filter((each) => !before.includes(each));
  if (file === undefined) throw new UsageError(`drizzle-kit made no migration in ${folder}: give its "out" folder.`);
  await writeFile(file, migrationScript(migrations, from));
  return { file: relative(process.cwd(), file), from, to };
}

async function sqlFilesIn(folder: string): Promise<string[]> {
  if (!existsSync(folder)) return [];
  const files = await readdir(folder, { recursive: true });
  return files.filter((file) => file.endsWith(".sql")).map((file) => resolve(folder, file));
}

/**
 * Has drizzle-kit make an empty migration. It is given an empty schema, because the tables of a
 * project do not matter for a custom migration.
 */
async function generateEmpty(folder: string, name: string): Promise<void> {
  const main = findDrizzleKit();
  const scratch = await mkdtemp(join(tmpdir(), "hark-drizzle-"));
  try {
    const schema = join(scratch, "schema.ts");
    await writeFile(schema, "export {};\n");
    const out = relative(process.cwd(), resolve(folder)).replaceAll("\\", "/") || ".";
    const flags = ["--custom", `--name=${name}`, "--dialect=postgresql", `--schema=${schema}`, `--out=${out}`];
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, "generate", ...flags], {
      encoding: "utf8",
      timeout: generateMs,
    });
    if (status !== 0) throw new UsageError(`drizzle-kit generate failed: ${`${stdout}${stderr}`.trim().slice(-500)}`);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** The main file of the drizzle-kit that is installed for the working directory. */
function findDrizzleKit(): string {
  const places = createRequire(join(process.cwd(), "package.json")).resolve.paths("drizzle-kit") ?? [];
  const found = places.map((place) => join(place, "drizzle-kit")).find((place) => existsSync(join(place, "bin.cjs")));
  if (found !== undefined) return join(found, "bin.cjs");
  throw new UsageError(
    `drizzle-kit is not installed for ${process.cwd()}. Run this in the project that uses it, or print the SQL with --sql.`,
  );
}
