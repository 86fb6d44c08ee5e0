import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { connect } from "node:net";

/**
 * Returns the live processes, as "pid: command line", of a demo with its own temporary folder:
 * those that have the folder in their environment (the demo, its workers, the reaper of its
 * database), and those that run in it (PostgreSQL). The process group would not find all, since the
 * database has left it. Reads /proc, so that nothing must be installed.
 */
export function processesOf(folder: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      const command = read(`/proc/${pid}/cmdline`);
      const belongs =
        command.includes(folder) ||
        read(`/proc/${pid}/environ`).includes(folder) ||
        workingFolder(pid).startsWith(folder);
      return belongs ? [`${pid}: ${command.replaceAll("\0", " ")}`] : [];
    });
}

/**
 * Reads a file. Returns "" for a process that has ended meanwhile, even if its exit code was not
 * read yet.
 */
function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

function workingFolder(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return "";
  }
}

/** Whether this port of the loopback address accepts connections. */
export function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
