import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Adapter, Workload } from "./adapter.ts";
import { nowMs, within } from "./clock.ts";
import type { Notice, Order, Report } from "./worker-protocol.ts";

/**
 * The longest time for a worker process to load, start or report, in ms. It allows for a busy
 * machine.
 */
const answerMs = 30_000;

export interface StartOptions {
  /** The highest number of a job + 1. */
  readonly capacity: number;
  /** Workers in each process; 1 if not given. */
  readonly workersEach?: number;
  /** Whether to record when each job's handler ran. */
  readonly isTimed?: boolean;
  /** What the worker's owner knows about its jobs. */
  readonly workload?: Workload;
}

/**
 * A worker of an adapter in a process of its own. The process is loaded first, and connects when
 * start() is called.
 */
export class WorkerProcess implements AsyncDisposable {
  /** How many attempts it has handled, up to a few ms ago. */
  handled = 0;
  /** When it last reported its progress, in ms of the machine's monotonic clock. */
  toldAt = 0;
  /** Why it ended or failed, if it did. */
  failure: Error | undefined;
  readonly #child: ChildProcess;
  readonly #answers = new Map<Notice["kind"], PromiseWithResolvers<Notice>>();

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on("message", (notice: Notice) => this.#hear(notice));
    child.on("exit", (code, signal) => this.#fail(new Error(`A worker process ended early: ${signal ?? code}`)));
  }

  static async load(): Promise<WorkerProcess> {
    const child = fork(fileURLToPath(new URL("worker-main.js", import.meta.url)), [], {
      serialization: "advanced",
      execArgv: ["--expose-gc"],
    });
    const worker = new WorkerProcess(child);
    await worker.#answer("loaded");
    return worker;
  }

  async start(
    adapter: Adapter,
    url: string,
    { capacity, workersEach = 1, isTimed = false, workload = {} }: StartOptions,
  ): Promise<void> {
    this.#tell({ kind: "start", adapter: adapter.name, url, capacity, workers: workersEach, isTimed, workload });
    await this.#answer("started");
  }

  async report(): Promise<Report> {
    this.#tell({ kind: "report" });
    return (await this.#answer("report")) as Report & Notice;
  }

  /** CPU time of the process since it was started, in us. */
  async cpuMicros(): Promise<number> {
    this.#tell({ kind: "usage" });
    const notice = await this.#answer("usage");
    return notice.kind === "usage" ? notice.cpuMicros : Number.NaN;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.removeAllListeners("exit");
    const gone = once(this.#child, "exit");
    this.#child.kill("SIGKILL"); // its store is dropped too, so nothing needs a clean end
    await within(answerMs, "The end of a killed worker process", gone);
  }

  #tell(order: Order): void {
    this.#child.send(order);
  }

  async #answer(kind: Notice["kind"]): Promise<Notice> {
    const answer = Promise.withResolvers<Notice>();
    this.#answers.set(kind, answer);
    return within(answerMs, `A worker process until it ${kind}`, answer.promise);
  }

  #hear(notice: Notice): void {
    if (notice.kind === "progress") {
      this.handled = notice.handled;
      this.toldAt = nowMs();
    } else if (notice.kind === "failed") {
      this.#fail(new Error(`A worker process failed: ${notice.message}`));
    } else {
      this.#answers.get(notice.kind)?.resolve(notice);
    }
  }

  #fail(error: Error): void {
    this.failure ??= error;
    for (const answer of this.#answers.values()) answer.reject(error);
  }
}
