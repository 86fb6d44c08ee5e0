import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Socket } from "node:net";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Account, runAs } from "./account.ts";

/**
 * Stops the server of a cluster directory and removes the directory, once the input ends. The input
 * is a pipe that only this process holds, so it ends however this process dies: after SIGKILL no
 * process can clean up after itself.
 *
 * A stale postmaster.pid may name an unrelated process, so the command line of the process must
 * contain the directory.
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

/**
 * The longest time that the script may take, in ms: both ways of stopping, and its attempts to
 * remove the directory.
 */
const reapMs = 20_000;

/** A reaper: a process of its own that outlives this one, however this one ends. */
export class Reaper {
  readonly #process: ChildProcess;

  constructor(cluster: string, pgCtl: string, account: Account | undefined) {
    this.#process = startReaper(cluster, pgCtl, account, "pipe");
    // Its pipe must not keep the event loop alive either. The type hides that it is a socket.
    (this.#process.stdin as Socket | null)?.unref();
  }

  /** Makes the reaper work now. Resolves when it is done, or at once if the reaper was killed. */
  async release(): Promise<void> {
    const { pid, exitCode, signalCode } = this.#process;
    if (pid === undefined || exitCode !== null || signalCode !== null) return;

    const gone = once(this.#process, "exit");
    this.#process.ref(); // or this process could end while it waits
    this.#process.stdin?.end();
    await Promise.race([gone, sleep(reapMs, undefined, { ref: false })]);
  }
}

/** Starts a reaper that works at once, on a directory whose owner is gone. */
export function reapAbandoned(cluster: string, pgCtl: string, account: Account | undefined): void {
  startReaper(cluster, pgCtl, account, "ignore");
}

/**
 * Starts a reaper as the server's account, which limits what it can damage, and in its own session,
 * so that Ctrl-C does not reach it.
 */
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
  reaper.on("error", () => {}); // if it fails, the next sweep removes the directory
  reaper.stdin?.on("error", () => {});
  reaper.unref();
  return reaper;
}
