import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * Ends a process and removes its folder, once the input ends. The input is a pipe that only our process holds, so the end comes
 * however we die: no exit handler runs on SIGKILL. A process number may have gone to somebody else by then, so its command line
 * must hold the words that we know it by.
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

/** How long the script may take at worst, in ms: 2 s of patience and the removal. */
const releaseMs = 10_000;

/**
 * Ties a child that does not know us, such as a server, to our life: it ends when the leash is disposed of, and when our process
 * ends, also by SIGKILL. The leash lies in a session of its own, deaf to Ctrl-C. `words` are part of the child's command line.
 */
export function leash(pid: number, { words, folder }: { words: string; folder: string }): AsyncDisposable {
  const holder = spawn("sh", ["-c", script, "sh", `${pid}`, words, folder], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  holder.on("error", () => {}); // no sh: then the child ends by its owner's own means only
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
