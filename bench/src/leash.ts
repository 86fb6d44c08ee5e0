import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * Ends a process and removes its folder once the input ends. The input is a pipe that only this
 * process holds, so it ends however this process dies: no exit handler runs on SIGKILL. By then
 * another process may have taken the process id, so the command line must contain words that
 * identify the process.
 */
const script = `
  read -r line
  is_it() { { tr '\\0' ' ' < "/proc/$1/cmdline" || ps -o command= -p "$1"; } 2>/dev/null | grep -qF -- "$2"; }
  if is_it "$1" "$2"; then
    kill -TERM "$1"
    for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do is_it "$1" "$2" || break; sleep 0.1; done
    if is_it "$1" "$2"; then kill -KILL "$1"; fi
  fi
  rm -rf -- "$3"
`;

/**
 * The longest time that the script may take, in ms: it waits 2 s for the process, then removes the
 * folder.
 */
const releaseMs = 10_000;

/**
 * Ties the life of a child process, such as a server, to this process. The child ends when the
 * leash is disposed of, and when this process ends, also by SIGKILL. The leash runs in a session of
 * its own, so Ctrl-C does not reach it. `words` are part of the child's command line.
 */
export function leash(pid: number, { words, folder }: { words: string; folder: string }): AsyncDisposable {
  const holder = spawn("sh", ["-c", script, "sh", `${pid}`, words, folder], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  holder.on("error", () => {}); // without sh, only the owner itself can end the child
  holder.stdin.on("error", () => {});
  (holder.stdin as Socket).unref();
  holder.unref();
  return {
    async [Symbol.asyncDispose]() {
      if (holder.pid === undefined || holder.exitCode !== null || holder.signalCode !== null) return;
      const gone = once(holder, "exit");
      holder.ref();
      holder.stdin.end();
      await Promise.race([gone, sleep(releaseMs, undefined, { ref: false })]);
    },
  };
}
