import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Edit } from "./build.ts";

export const root = fileURLToPath(new URL("../../../../", import.meta.url));

/** What a campaign needs of the repository. */
const copied = ["packages", "drizzle", "test", "tsconfig.base.json", "package.json"];
const built = ["packages/core", "packages/producer", "packages/worker", "packages/job-manager"];

/** How long a compilation may take, in ms. */
const compileMs = 120_000;

/** Answers a file with the edit made. Throws if what it replaces does not stand there exactly once. */
export function edited(text: string, { file, from, to }: Edit): string {
  const places = text.split(from).length - 1;
  if (places !== 1) throw new Error(`${file} holds "${from.trim().slice(0, 60)}" ${places} times, and not once`);
  return text.replace(from, () => to);
}

/** A copy of the repository with some edits, compiled; `await using` removes it. Its own packages are what it runs. */
export async function makeWorkspace(edits: readonly Edit[]): Promise<AsyncDisposable & { folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), "hark-sabotage-"));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    for (const part of copied) {
      // Links as they are: those to our own packages are relative, and lead to the copies.
      const filter = (path: string) => !/\/(\.scratch|bench\/results)/.test(path);
      await cp(join(root, part), join(folder, part), { recursive: true, verbatimSymlinks: true, filter });
    }
    await symlink(join(root, "node_modules"), join(folder, "node_modules"));
    for (const edit of edits) {
      const file = join(folder, edit.file);
      await writeFile(file, edited(await readFile(file, "utf8"), edit));
    }
    await promisify(execFile)(join(root, "node_modules/.bin/tsc"), ["-b", ...built], {
      cwd: folder,
      timeout: compileMs,
    });
  } catch (cause) {
    await remove();
    const { stdout = "" } = cause as { stdout?: string };
    throw new Error(`the sabotaged build could not be made: ${stdout}`, { cause });
  }
  return { folder, [Symbol.asyncDispose]: remove };
}
