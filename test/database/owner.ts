import { execFileSync } from "node:child_process";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

/**
 * The process that made a cluster directory, written into it. A process id alone is not enough: ids
 * are reused, and a container that shares the temporary folder has ids of its own.
 */
export interface Owner {
  pid: number;
  startedAt: string;
  /** Where the process id is valid: the process id namespace, or the machine. */
  space: string;
}

/** Returns this process as an owner. */
export function ourselves(): Owner {
  return { pid: process.pid, startedAt: startOf(process.pid) ?? "unknown", space: numberSpace() };
}

/**
 * Whether the owner is certainly gone. An owner in another process id namespace cannot be seen, and
 * counts as living.
 */
export function isGone(owner: Owner): boolean {
  return owner.space === numberSpace() && startOf(owner.pid) !== owner.startedAt;
}

function startOf(pid: number): string | undefined {
  try {
    if (process.platform !== "linux")
      return execFileSync("ps", ["-o", "lstart=", "-p", `${pid}`])
        .toString()
        .trim();
    // proc(5): field 22, counted after the program's name, which may itself contain spaces and
    // parentheses.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ");
    const isZombie = fields?.[0] === "Z"; // killed, and not reaped by its parent yet
    return isZombie ? undefined : fields?.[19];
  } catch {
    return undefined;
  }
}

function numberSpace(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return hostname();
  }
}
