import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { chmod, mkdtemp, open, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

/** Of one disk, in MB. A campaign of 30 minutes writes a third of that. */
const sizeMb = 256;
const prefix = "hark-chaos-disk-";
const blockBytes = 1 << 20;
/** How long mounting may take, in ms. */
const mountMs = 10_000;

const run = promisify(execFile);

/** A small disk of its own for a tablespace, in memory, which can be full: then tables cannot grow, while the log of writes can. */
export class SmallDisk implements AsyncDisposable {
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  /** Mounts one in a folder; undefined where the system lets nobody do that. Takes away those of campaigns that were killed. */
  static async mount(folder: string): Promise<SmallDisk | undefined> {
    await sweep(folder);
    const directory = await mkdtemp(join(folder, `${prefix}${process.pid}-`));
    await chmod(directory, 0o755);
    try {
      await run("mount", ["-t", "tmpfs", "-o", `size=${sizeMb}m,mode=0755`, "hark-chaos", directory], {
        timeout: mountMs,
      });
      return new SmallDisk(directory);
    } catch {
      await rmdir(directory);
      return undefined;
    }
  }

  /** Writes until no byte is left; answers how to make room again. */
  async fill(): Promise<() => Promise<void>> {
    const path = join(this.directory, "ballast");
    const makeRoom = () => rm(path, { force: true });
    const ballast = await open(path, "w");
    try {
      const block = Buffer.alloc(blockBytes);
      for (let size = blockBytes; size >= 1;) {
        try {
          const { bytesWritten } = await ballast.write(block, 0, size);
          if (bytesWritten < size) size = Math.trunc(size / 2);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
          size = Math.trunc(size / 2);
        }
      }
      return makeRoom;
    } catch (error) {
      await makeRoom();
      throw error;
    } finally {
      await ballast.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await unmount(this.directory);
  }
}

async function unmount(directory: string): Promise<void> {
  await run("umount", ["--lazy", directory], { timeout: mountMs }).catch(() => {}); // its server may just be ending
  await rmdir(directory).catch(() => {});
}

async function sweep(folder: string): Promise<void> {
  const left = readdirSync(folder).filter((name) => name.startsWith(prefix) && !isAlive(ownerOf(name)));
  await Promise.all(left.map((name) => unmount(join(folder, name))));
}

const ownerOf = (name: string): number => Number(name.slice(prefix.length).split("-")[0]);

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
