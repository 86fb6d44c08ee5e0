import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { appendFile, chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Account, runAs } from "./account.ts";
import type { Binaries } from "./binaries.ts";
import { isGone, type Owner, ourselves } from "./owner.ts";
import { reapAbandoned, Reaper } from "./reaper.ts";
import { temporaryFolder } from "./temporary-folder.ts";

/**
 * A fresh database cluster on disk: `data/`, `server.log` and `owner.json` in one temporary
 * directory.
 */
export interface Cluster {
  directory: string;
  data: string;
  log: string;
  password: string;
  /**
   * Removes the directory, and a server that still runs on it, when told to or when this process
   * dies.
   */
  reaper: Reaper;
}

const prefix = "hark-cluster-";
/**
 * A directory of this age without an owner was abandoned between its creation and the writing of
 * its owner, in ms.
 */
const namelessMs = 10 * 60_000;

/**
 * The environment variables that a server or initdb gets: no secrets, no PGPORT, English messages.
 */
export function serverEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env["PATH"], LC_ALL: "C", TZ: "UTC" };
}

/**
 * Makes a cluster with the given settings. It has a random password even if it runs for a minute,
 * because other users of the machine can reach its port. Throws with the output of initdb if that
 * fails.
 */
export async function makeCluster(
  binaries: Binaries,
  account: Account | undefined,
  settings: Record<string, string>,
): Promise<Cluster> {
  const base = temporaryFolder(account);
  sweep(base, binaries.pgCtl, account);

  const directory = await mkdtemp(join(base, prefix));
  const passwordFile = join(directory, "password");
  const password = randomBytes(18).toString("hex");
  await writeFile(join(directory, "owner.json"), JSON.stringify(ourselves()));
  await writeFile(passwordFile, password, { mode: 0o600 });
  if (account) {
    for (const path of [passwordFile, directory]) await chown(path, account.uid, account.gid);
  }

  const cluster: Cluster = {
    directory,
    data: join(directory, "data"),
    log: join(directory, "server.log"),
    password,
    reaper: new Reaper(directory, binaries.pgCtl, account), // started before initdb, which takes longest
  };
  try {
    await promisify(execFile)(
      binaries.initdb,
      [
        `--pgdata=${cluster.data}`,
        "--username=postgres",
        `--pwfile=${passwordFile}`,
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--no-sync",
        "--no-instructions",
      ],
      { ...runAs(account), cwd: directory, env: serverEnvironment(), timeout: 120_000 },
    );
    await rm(passwordFile);
    // The settings are in the file, not on the command line, so that a test may `alter system`.
    await appendFile(join(cluster.data, "postgresql.conf"), Object.entries(settings).map(settingLine).join(""));
    return cluster;
  } catch (cause) {
    await removeCluster(cluster);
    throw new Error(`initdb made no cluster in ${directory}: ${(cause as Error).message}`, {
      cause,
    });
  }
}

/**
 * Removes the directory through its reaper, so that this path is often used; or directly if the
 * reaper was killed.
 */
export async function removeCluster({ reaper, directory }: Cluster): Promise<void> {
  await reaper.release();
  await rm(directory, { recursive: true, force: true, maxRetries: 5 });
}

/**
 * Starts to remove every cluster whose owner is gone and whose reaper was killed as well. Does not
 * wait for it.
 */
function sweep(base: string, pgCtl: string, account: Account | undefined): void {
  const uid = account?.uid ?? process.getuid?.();
  for (const name of readdirSync(base)) {
    if (!name.startsWith(prefix)) continue;
    const directory = join(base, name);
    try {
      // Any user can create a directory with that name: only those of our own account are trusted.
      if (statSync(directory).uid === uid && isAbandoned(directory)) reapAbandoned(directory, pgCtl, account);
    } catch {
      // removed in the meantime, by its owner or by another sweep
    }
  }
}

function isAbandoned(directory: string): boolean {
  try {
    return isGone(JSON.parse(readFileSync(join(directory, "owner.json"), "utf8")) as Owner);
  } catch {
    return Date.now() - statSync(directory).mtimeMs > namelessMs;
  }
}

function settingLine([name, value]: [string, string]): string {
  return `${name} = '${value.replaceAll("'", "''")}'\n`;
}
