import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { chmod, mkdtemp, open, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const prefix = "hark-disk-";
const blockBytes = 1 << 20;
/** How long mounting may take, in ms. */
const mountMs = 10_000;

const run = promisify(execFile);

/** Why a test of a full disk cannot run where {@link SmallDisk.mount} answers undefined. */
export const noSmallDisk = "nothing was tested: this system lets us neither mount a tmpfs nor unshare a user's mounts";

/** A small disk of its own, in memory, for a tablespace or for the log of writes: it can be full, and nobody else minds. */
export class SmallDisk implements AsyncDisposable {
  /** Where our servers and we find it. */
  readonly directory: string;
  readonly #mountPoint: string;
  /** Keeps the mounts of an ordinary user, which end with it. */
  readonly #holder: ChildProcess | undefined;

  private constructor(mountPoint: string, holder?: ChildProcess) {
    this.directory = holder ? `/proc/${holder.pid}/root${mountPoint}` : mountPoint;
    this.#mountPoint = mountPoint;
    this.#holder = holder;
  }

  /**
   * Mounts one in a folder: as root, or as an ordinary user among mounts of its own. Answers undefined where the system allows
   * neither. Takes away those of processes that were killed.
   */
  static async mount(folder: string, { sizeMb }: { sizeMb: number }): Promise<SmallDisk | undefined> {
    await sweep(folder);
    const mountPoint = await mkdtemp(join(folder, `${prefix}${process.pid}-`));
    await chmod(mountPoint, 0o755);
    const mount = ["mount", "-t", "tmpfs", "-o", `size=${sizeMb}m,mode=0755`, "hark-disk", mountPoint];
    if (process.getuid?.() !== 0) {
      const holder = await holdMount(mount);
      if (holder) return new SmallDisk(mountPoint, holder);
    } else if (await succeeds(mount)) return new SmallDisk(mountPoint);
    await rmdir(mountPoint);
    return undefined;
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
    if (this.#holder) {
      const gone = once(this.#holder, "exit");
      this.#holder.kill("SIGKILL");
      await gone;
    }
    await unmount(this.#mountPoint);
  }
}

async function succeeds([command, ...args]: readonly string[]): Promise<boolean> {
  return run(command!, args, { timeout: mountMs }).then(
    () => true,
    () => false,
  );
}

/**
 * Mounts where an ordinary user may: in a namespace of its own, in which it is root. Answers the process that keeps it, until we end or
 * end it; we, and servers that run as we do, see its mounts through /proc. Undefined if the system does not allow that.
 */
async function holdMount(mount: readonly string[]): Promise<ChildProcess | undefined> {
  const script = '"$@" && echo mounted && exec cat'; // which reads until we end
  const holder = spawn("unshare", ["--user", "--map-root-user", "--mount", "--", "sh", "-c", script, "sh", ...mount], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  const deadline = AbortSignal.timeout(mountMs);
  const isMounted = await Promise.race([
    once(holder.stdout, "data", { signal: deadline }).then(() => true),
    once(holder, "close", { signal: deadline }).then(() => false),
  ]).catch(() => false); // no such command, or too late
  if (isMounted) return holder;
  holder.kill("SIGKILL");
  return undefined;
}

async function unmount(mountPoint: string): Promise<void> {
  await run("umount", ["--lazy", mountPoint], { timeout: mountMs }).catch(() => {}); // its server may just be ending
  await rmdir(mountPoint).catch(() => {});
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
