import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { WorkerHealth } from "@hark/worker";

/** All that a worker process is told, as JSON. */
export interface WorkerProcessOptions {
  databaseUrl: string;
  listenUrl?: string;
  queue: string;
  /** The ledger it writes handler starts and ends to. */
  ledgerFile: string;
  /** Asks the database for the time of every ledger entry, by a connection of its own to this url. */
  clockUrl?: string;
  concurrency?: number;
  leaseMs?: number;
  pollMs?: number;
  drainMs?: number;
  abortMs?: number;
  name?: string;
  /** Limit of JavaScript's memory, in MB; Node's own if not given. */
  heapMb?: number;
}

/** What a worker process tells. */
export type WorkerNews =
  | { kind: "born" }
  | { kind: "ready" }
  | { kind: "failed"; error: string }
  | { kind: "health"; health: WorkerHealth };

const entry = fileURLToPath(new URL("worker-main.ts", import.meta.url));

/** None outlives us. */
const living = new Set<ChildProcess>();
process.once("exit", () => living.forEach((child) => child.kill("SIGKILL")));

/** Starts a worker as a process of its own, to be killed, stopped and continued; of another build of Hark if its entry is given. */
export function startWorkerProcess(options: WorkerProcessOptions, main: string = entry): WorkerProcess {
  return new WorkerProcess(options, main);
}

export class WorkerProcess {
  readonly name: string;
  /** Resolves once it runs, and so minds signals; it may still be looking for its database. Rejects as `ready` does. */
  readonly born: Promise<void>;
  /** Resolves once it holds its lease and listens. Rejects with its own words if it does not come to that. */
  readonly ready: Promise<void>;
  /** Resolves with the exit code, or the signal that ended it. */
  readonly exited: Promise<number | NodeJS.Signals>;
  readonly #child: ChildProcess;
  #log = "";

  constructor(options: WorkerProcessOptions, main: string) {
    const child = (this.#child = fork(main, [JSON.stringify(options)], {
      execArgv: options.heapMb === undefined ? [] : [`--max-old-space-size=${options.heapMb}`], // not the test runner's
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    }));
    this.name = options.name ?? String(child.pid);
    child.stderr?.on("data", (text) => (this.#log = (this.#log + String(text)).slice(-8_000)));
    living.add(child);
    this.exited = once(child, "exit").then(([code, signal]) => {
      living.delete(child);
      return (code ?? signal) as number | NodeJS.Signals;
    });
    this.born = this.#heard("born");
    this.ready = this.#heard("ready");
    this.born.catch(() => {}); // whoever wants to know awaits them
    this.ready.catch(() => {});
  }

  async #heard(kind: "born" | "ready"): Promise<void> {
    await this.#news(kind);
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The end of what it logged, for people. */
  get log(): string {
    return this.#log;
  }

  kill(signal: "SIGKILL" | "SIGSTOP" | "SIGCONT" | "SIGTERM" | "SIGINT"): void {
    this.#child.kill(signal);
  }

  async health(): Promise<WorkerHealth> {
    const answer = this.#news("health");
    this.#child.send("health");
    return (await answer).health;
  }

  /** Ends it at once, whatever it does, and waits until it is gone. */
  async end(): Promise<void> {
    if (this.isAlive) this.#child.kill("SIGKILL"); // ends a stopped process too
    await this.exited;
  }

  async #news<Kind extends WorkerNews["kind"]>(kind: Kind): Promise<Extract<WorkerNews, { kind: Kind }>> {
    return new Promise((resolve, reject) => {
      const hear = (news: WorkerNews) => {
        if (news.kind === kind) settle(() => resolve(news as Extract<WorkerNews, { kind: Kind }>));
        if (news.kind === "failed") settle(() => reject(new Error(`the worker process failed: ${news.error}`)));
      };
      const gone = () => settle(() => reject(new Error(`the worker process ended. Its last words:\n${this.#log}`)));
      const settle = (answer: () => void) => {
        this.#child.off("message", hear).off("exit", gone);
        answer();
      };
      this.#child.on("message", hear).on("exit", gone);
    });
  }
}
