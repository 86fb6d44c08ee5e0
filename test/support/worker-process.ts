import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { WorkerHealth } from "@hark/worker";

/** The options of a worker process, as JSON. */
export interface WorkerProcessOptions {
  databaseUrl: string;
  listenUrl?: string;
  queue: string;
  /** The ledger file to which it writes the starts and ends of handlers. */
  ledgerFile: string;
  /**
   * If given, it asks the database at this URL for the time of every ledger entry, on a connection
   * of its own.
   */
  clockUrl?: string;
  concurrency?: number;
  leaseMs?: number;
  pollMs?: number;
  drainMs?: number;
  abortMs?: number;
  name?: string;
  /** The limit of JavaScript's memory, in MB; Node's default if not given. */
  heapMb?: number;
}

/** The messages of a worker process. */
export type WorkerNews =
  | { kind: "born" }
  | { kind: "ready" }
  | { kind: "failed"; error: string }
  | { kind: "health"; health: WorkerHealth };

const entry = fileURLToPath(new URL("worker-main.ts", import.meta.url));

/** All running processes. None may outlive this one. */
const living = new Set<ChildProcess>();
process.once("exit", () => living.forEach((child) => child.kill("SIGKILL")));

/**
 * Starts a worker in a process of its own, to be killed, stopped and continued. `main` is the entry
 * of another build of Hark, if given.
 */
export function startWorkerProcess(options: WorkerProcessOptions, main: string = entry): WorkerProcess {
  return new WorkerProcess(options, main);
}

export class WorkerProcess {
  readonly name: string;
  /**
   * Resolves once it runs and handles signals. It may not have reached its database yet. Rejects as
   * `ready` does.
   */
  readonly born: Promise<void>;
  /** Resolves once it holds its lease and listens. Rejects with its log if it ends before. */
  readonly ready: Promise<void>;
  /** Resolves with the exit code, or the signal that ended it. */
  readonly exited: Promise<number | NodeJS.Signals>;
  readonly #child: ChildProcess;
  #log = "";

  constructor(options: WorkerProcessOptions, main: string) {
    const child = (this.#child = fork(main, [JSON.stringify(options)], {
      execArgv: options.heapMb === undefined ? [] : [`--max-old-space-size=${options.heapMb}`], // not inherited from the test runner
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
    this.born.catch(() => {}); // callers that need them await them
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

  /** The end of its log, for people. */
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
    if (this.isAlive) this.#child.kill("SIGKILL"); // also ends a stopped process
    await this.exited;
  }

  async #news<Kind extends WorkerNews["kind"]>(kind: Kind): Promise<Extract<WorkerNews, { kind: Kind }>> {
    return new Promise((resolve, reject) => {
      const hear = (news: WorkerNews) => {
        if (news.kind === kind) settle(() => resolve(news as Extract<WorkerNews, { kind: Kind }>));
        if (news.kind === "failed") settle(() => reject(new Error(`the worker process failed: ${news.error}`)));
      };
      const gone = () => settle(() => reject(new Error(`the worker process ended. The end of its log:\n${this.#log}`)));
      const settle = (answer: () => void) => {
        this.#child.off("message", hear).off("exit", gone);
        answer();
      };
      this.#child.on("message", hear).on("exit", gone);
    });
  }
}
