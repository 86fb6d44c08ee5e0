import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Socket } from "node:net";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Account, runAs } from "./account.ts";

/**
 * Stops the server of a cluster directory and removes the directory, once its input ends. Its input is a pipe that
 * only our process holds, so the end comes however we die: SIGKILL leaves no chance to tidy up ourselves.
 *
 * A stale postmaster.pid may name a process that has nothing to do with us: its command line must name the directory.
 */
const script = `
  read -r line
  data="$1/data"
  pid=$(head -n 1 "$data/postmaster.pid" 2>/dev/null)
  if [ -n "$pid" ] && { tr '\\0' ' ' < "/proc/$pid/cmdline" || ps -o command= -p "$pid"; } 2>/dev/null | grep -qF -- "$data"
  then "$2" stop -D "$data" -m fast -t 5 || "$2" stop -D "$data" -m immediate -t 10 || kill -9 "$pid"
  fi
  for try in 1 2 3 4 5; do rm -rf "$1" && break; sleep 1; done # initdb may still be writing
`;

/** How long the script may take at worst, in ms: both ways of stopping, and its tries to remove. */
const reapMs = 20_000;

/** A reaper in wait: a process of its own that outlives us, however we end. */
export class Reaper {
  readonly #process: ChildProcess;

  constructor(cluster: string, pgCtl: string, account: Account | undefined) {
    this.#process = startReaper(cluster, pgCtl, account, "pipe");
    // Nor may its pipe keep our event loop alive. Its type hides that it is a socket.
    (this.#process.stdin as Socket | null)?.unref();
  }

  /** Sends it to work now, and answers when it is done; at once if somebody has killed it. */
  async release(): Promise<void> {
    const { pid, exitCode, signalCode } = this.#process;
    if (pid === undefined || exitCode !== null || signalCode !== null) return;

    const gone = once(this.#process, "exit");
    this.#process.ref(); // or our process could end while it waits
    this.#process.stdin?.end();
    await Promise.race([gone, sleep(reapMs, undefined, { ref: false })]);
  }
}

/** Starts a reaper that goes to work at once, on a directory whose owner is gone. */
export function reapAbandoned(cluster: string, pgCtl: string, account: Account | undefined): void {
  startReaper(cluster, pgCtl, account, "ignore");
}

/** It runs as the server's account, so that it cannot hurt more than that, and in its own session, deaf to Ctrl-C. */
function startReaper(
  cluster: string,
  pgCtl: string,
  account: Account | undefined,
  input: "pipe" | "ignore",
): ChildProcess {
  const reaper = spawn("sh", ["-c", script, "sh", cluster, pgCtl], {
    ...runAs(account),
    cwd: dirname(cluster),
    detached: true,
    stdio: [input, "ignore", "ignore"],
  });
  reaper.on("error", () => {}); // without it the directory waits for the next sweep
  reaper.stdin?.on("error", () => {});
  reaper.unref();
  return reaper;
}
