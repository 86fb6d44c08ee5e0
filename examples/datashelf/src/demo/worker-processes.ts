import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";

/**
 * How long a worker may take to end after it was told to, in ms. It is longer than the worker's own
 * drain and abort times.
 */
const endDeadlineMs = 35_000;

export interface WorkerProcesses {
  readonly pids: readonly number[];
  /** Resolves when all workers claim jobs. Rejects when one ends before that. */
  readonly started: Promise<void>;
  /**
   * Resolves with the reason when the last worker has ended and none is left to finish the crawl.
   */
  readonly allGone: Promise<string>;
  stop(): Promise<void>;
}

/**
 * Starts worker processes of DataShelf. `say` gets a line for each one that ends unasked. Stop them
 * also if the start fails.
 */
export function startWorkers(count: number, env: NodeJS.ProcessEnv, say: (line: string) => void): WorkerProcesses {
  const gone = Promise.withResolvers<string>();
  let isStopping = false;
  let alive = count;
  const children = Array.from({ length: count }, (_, index) => {
    const child = fork(new URL("../worker.js", import.meta.url), {
      env,
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    child.once("exit", (code, signal) => {
      alive -= 1;
      const how = howItEnded(code, signal);
      if (!isStopping) say(`worker ${index + 1} ${how}; its jobs go to the others when its lease runs out`);
      if (alive === 0) gone.resolve(`the last worker ${how}`);
    });
    return child;
  });
  const started = allStarted(children);
  started.catch(() => {}); // the caller awaits it
  return {
    pids: children.map(({ pid }) => pid!),
    started,
    allGone: gone.promise,
    async stop() {
      isStopping = true;
      await Promise.all(children.map(end));
    },
  };
}

async function allStarted(children: readonly ChildProcess[]): Promise<void> {
  await Promise.all(children.map(hasStarted));
}

function hasStarted(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once("message", () => resolve());
    child.once("exit", (code, signal) =>
      reject(new Error(`a worker ${howItEnded(code, signal)} before it had started`)),
    );
  });
}

function howItEnded(code: number | null, signal: NodeJS.Signals | null): string {
  return signal ? `was killed by ${signal}` : `ended with exit code ${code}`;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), endDeadlineMs);
  await exited;
  clearTimeout(timer);
}
