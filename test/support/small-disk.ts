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

/** Why a test of a full disk cannot run if {@link SmallDisk.mount} returns undefined. */
export const noSmallDisk =
  "nothing was tested: this system allows neither mounting a tmpfs nor a mount namespace of the user's own";

/**
 * A small disk in memory, for a tablespace or for the WAL. It can be full without affecting
 * anything else.
 */
export class SmallDisk implements AsyncDisposable {
  /** The path by which this process and its servers reach it. */
  readonly directory: string;
  readonly #mountPoint: string;
  /** Keeps an ordinary user's mount namespace, which ends with this process. */
  readonly #holder: ChildProcess | undefined;

  private constructor(mountPoint: string, holder?: ChildProcess) {
    this.directory = holder ? `/proc/${holder.pid}/root${mountPoint}` : mountPoint;
    this.#mountPoint = mountPoint;
    this.#holder = holder;
  }

  /**
   * Mounts a disk in a folder: as root, or as an ordinary user in a mount namespace of its own.
   * Returns undefined if the system allows neither. Removes the disks of processes that were
   * killed.
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

  /** Writes until the disk is full. Returns a function that makes room again. */
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
 * Mounts as an ordinary user, in a namespace in which that user is root. Returns the process that
 * keeps the namespace until it is ended or this process ends. This process, and servers of the same
 * user, see its mounts through /proc. Undefined if the system does not allow that.
 */
async function holdMount(mount: readonly string[]): Promise<ChildProcess | undefined> {
  const script = '"$@" && echo mounted && exec cat'; // cat reads until this process ends
  const holder = spawn("unshare", ["--user", "--map-root-user", "--mount", "--", "sh", "-c", script, "sh", ...mount], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  const deadline = AbortSignal.timeout(mountMs);
  const isMounted = await Promise.race([
    once(holder.stdout, "data", { signal: deadline }).then(() => true),
    once(holder, "close", { signal: deadline }).then(() => false),
  ]).catch(() => false); // the command is missing, or took too long
  if (isMounted) return holder;
  holder.kill("SIGKILL");
  return undefined;
}

async function unmount(mountPoint: string): Promise<void> {
  await run("umount", ["--lazy", mountPoint], { timeout: mountMs }).catch(() => {}); // lazy, because its server may still be ending
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
