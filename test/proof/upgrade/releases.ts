import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const execute = promisify(execFile);

/** The files and folders of a release. */
const parts = ["packages", "drizzle", "test", "tsconfig.base.json", "package.json"];

/** How long a compilation may take, in ms. */
const compileMs = 180_000;

/** How long a command line may take, in ms. A migration tries for a minute. */
const commandMs = 90_000;

/** A migration of a later release. */
export interface LaterMigration {
  readonly name: string;
  readonly text: string;
}

/** An installation of Hark in its own folder. `await using` removes it. */
export interface Release extends AsyncDisposable {
  /** The entry of its worker process. */
  readonly workerMain: string;
  /** Runs its command line. Returns the exit code and the output. */
  hark(args: readonly string[], databaseUrl: string): Promise<{ code: number; output: string }>;
}

/**
 * Returns the oldest commit with the current migrations: the oldest code with the same schema.
 * undefined without history, as in a shallow clone.
 */
export async function commitOfThisSchema(): Promise<string | undefined> {
  const git = (...args: string[]) => execute("git", args, { cwd: root }).then(({ stdout }) => stdout.trim());
  try {
    if ((await git("rev-parse", "--is-shallow-repository")) === "true") return undefined;
    return (await git("rev-list", "-1", "HEAD", "--", "drizzle")) || undefined;
  } catch {
    return undefined; // no git, or no repository
  }
}

/** Installs the code of a commit, or the current code, with later migrations after its own. */
export async function installRelease(
  options: { commit?: string | undefined; later?: readonly LaterMigration[] } = {},
): Promise<Release> {
  const { commit, later = [] } = options;
  const folder = await mkdtemp(join(tmpdir(), "hark-release-"));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    await (commit === undefined ? copyWorkingTree(folder) : extract(folder, commit));
    await symlink(join(root, "node_modules"), join(folder, "node_modules"));
    await addMigrations(join(folder, "drizzle"), later);
    await execute(process.execPath, [join(root, ".ci/generate.mjs"), folder], { timeout: compileMs });
    await execute(join(root, "node_modules/.bin/tsc"), ["-b", "packages/cli"], { cwd: folder, timeout: compileMs });
  } catch (error) {
    await remove();
    throw error;
  }
  const main = join(folder, "packages/cli/dist/main.js");
  return {
    workerMain: join(folder, "test/support/worker-main.ts"),
    async hark(args, databaseUrl) {
      const env = { ...process.env, DATABASE_URL: databaseUrl };
      try {
        const { stdout, stderr } = await execute(process.execPath, [main, ...args], { env, timeout: commandMs });
        return { code: 0, output: stdout + stderr };
      } catch (error) {
        const { code, stdout = "", stderr = "" } = error as { code?: unknown; stdout?: string; stderr?: string };
        if (typeof code !== "number") throw error;
        return { code, output: stdout + stderr };
      }
    },
    [Symbol.asyncDispose]: remove,
  };
}

async function copyWorkingTree(folder: string): Promise<void> {
  // Keeps links: those to our own packages are relative, and lead to the copies.
  for (const part of parts) await cp(join(root, part), join(folder, part), { recursive: true, verbatimSymlinks: true });
}

async function extract(folder: string, commit: string): Promise<void> {
  const archive = join(folder, "release.tar");
  await execute("git", ["archive", "--output", archive, commit, ...parts], { cwd: root });
  await execute("tar", ["-xf", archive], { cwd: folder });
  const packages = (await readdir(join(folder, "packages"))).map((name) => `packages/${name}`);
  for (const part of [...packages, "test"]) {
    const links = `${part}/node_modules`;
    // A package that no longer exists gets the links of one that has them all.
    const source = existsSync(join(root, links)) ? links : "packages/job-manager/node_modules";
    await cp(join(root, source), join(folder, links), { recursive: true, verbatimSymlinks: true });
  }
}

async function addMigrations(drizzle: string, later: readonly LaterMigration[]): Promise<void> {
  const file = join(drizzle, "meta/_journal.json");
  const journal = JSON.parse(await readFile(file, "utf8")) as { entries: { tag: string }[] };
  for (const { name, text } of later) {
    await writeFile(join(drizzle, `${name}.sql`), text);
    journal.entries.push({ tag: name });
  }
  await writeFile(file, JSON.stringify(journal));
}
