import { execFileSync } from "node:child_process";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

/**
 * Who made a cluster directory, written into it. A process number alone would not tell: numbers are used again, and
 * a container that shares the temporary folder counts its own.
 */
export interface Owner {
  pid: number;
  startedAt: string;
  /** Where the number counts: the process number space, or the machine. */
  space: string;
}

/** Answers the owner that this process is. */
export function ourselves(): Owner {
  return { pid: process.pid, startedAt: startOf(process.pid) ?? "unknown", space: numberSpace() };
}

/** Whether the owner is gone for certain. One in another number space cannot be seen, and counts as living. */
export function isGone(owner: Owner): boolean {
  return owner.space === numberSpace() && startOf(owner.pid) !== owner.startedAt;
}

function startOf(pid: number): string | undefined {
  try {
    if (process.platform !== "linux")
      return execFileSync("ps", ["-o", "lstart=", "-p", `${pid}`])
        .toString()
        .trim();
    // proc(5): field 22, counted after the program's name, which may itself hold spaces and parentheses.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ");
    const isZombie = fields?.[0] === "Z"; // killed, and its parent has not looked yet
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
