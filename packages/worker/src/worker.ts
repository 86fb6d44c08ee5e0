import type { Locks } from "@hark/core";
import { buildWorker, type WorkerParts } from "./build-worker.ts";
import { parseOptions, type WorkerOptions, type WorkerSettings } from "./options.ts";
import { type Ports, realPorts } from "./ports.ts";
import type { WorkerEvents } from "./run/events.ts";
import { runUntilSignalled, type Stoppable } from "./runtime/shutdown.ts";
import { startStages, stopStages } from "./runtime/stages.ts";
import type { ListenerState } from "./wake/listener.ts";

export type WorkerState = "new" | "starting" | "running" | "draining" | "stopped";

export interface WorkerHealth {
  readonly state: WorkerState;
  /** It claims jobs, its lease holds, notifications arrive, and its schedules are fired in time. */
  readonly isHealthy: boolean;
  /** Every problem in words. Empty if it is healthy. */
  readonly reasons: readonly string[];
  readonly activeJobs: number;
  /** Whether wake-ups arrive; "polling" means that only the poll finds jobs. */
  readonly listener: ListenerState;
}

/** A worker process: starts and stops its parts in order. See createWorker(). */
export class Worker implements Stoppable, AsyncDisposable {
  readonly #settings: WorkerSettings;
  readonly #parts: WorkerParts;
  #state: WorkerState = "new";
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;

  /** `ports` is for simulations: see {@link Ports}. */
  constructor(options: WorkerOptions, ports: Ports = realPorts) {
    this.#settings = parseOptions(options);
    this.#parts = buildWorker(this.#settings, ports);
  }

  get events(): WorkerEvents {
    return this.#parts.events;
  }

  /** Locks by key for application code. This worker's listener wakes their waiters. */
  get locks(): Locks {
    return this.#parts.locks;
  }

  /**
   * Starts claiming. Resolves once the lease holds; it does not wait for a listener that cannot
   * connect, since the poll finds every job. If it throws, it has cleaned up.
   * @throws SchemaVersionError if the schema is missing, older than this code, or newer and does
   * not let it in
   * @throws DatabaseUnreachableError
   */
  start(): Promise<void> {
    return (this.#starting ??= this.#start());
  }

  /**
   * Stops claiming, and waits up to the drain time for running jobs. Aborts the others, and hands
   * back the rest without counting the attempt. `"now"` skips the drain, also that of a running
   * stop. Resolves when nothing runs any more.
   */
  stop(how: "drain" | "now" = "drain"): Promise<void> {
    if (how === "now") this.#parts.drain.hurry();
    return (this.#stopping ??= this.#stop());
  }

  /**
   * Runs as a service: starts, and resolves once SIGTERM or SIGINT has stopped it, which may be
   * while it starts. A second signal aborts, a third exits. Throws what start() throws.
   */
  async run(): Promise<void> {
    const starting = this.start().then(() => this.#parts.lease.endProcessWhenHung());
    await runUntilSignalled(this, this.#settings.logger, starting);
  }

  health(): WorkerHealth {
    const { lease, listener, claiming, poll, scheduler, attempts } = this.#parts;
    const reasons: string[] = [];
    if (this.#state !== "running") reasons.push(`the worker is ${this.#state}`);
    else if (lease.identity === undefined) reasons.push("the worker has no lease, so it claims nothing");
    if (listener.state !== "listening") {
      const { pollMs } = this.#settings;
      reasons.push(
        `no notifications (${listener.reason ?? listener.state}): jobs start only by the poll, every ${pollMs} ms`,
      );
    }
    reasons.push(...claiming.troubles);
    if (poll.failures > 0) reasons.push(`the poll failed ${poll.failures} times in a row`);
    if (scheduler?.trouble !== undefined) reasons.push(scheduler.trouble);
    return {
      state: this.#state,
      isHealthy: reasons.length === 0,
      reasons,
      activeJobs: attempts.size,
      listener: listener.state,
    };
  }

  /**
   * Resolves once the lease holds and notifications arrive. Never resolves if the listener cannot
   * connect.
   */
  whenListening(signal?: AbortSignal): Promise<void> {
    return this.#parts.listener.whenListening(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #start(): Promise<void> {
    const { logger, concurrency, handlers, name } = this.#settings;
    this.#state = "starting";
    try {
      if (!(await startStages(this.#parts.stages, () => this.#stopping !== undefined))) return;
    } catch (error) {
      this.#state = "stopped";
      throw error;
    }
    this.#state = "running";
    const facts = { worker: name, queues: Object.fromEntries(concurrency), types: [...handlers.keys()] };
    logger.info(facts, "worker started");
  }

  async #stop(): Promise<void> {
    // Start and stop are serialised (FM-51); a start that failed has cleaned up after itself.
    const started = await this.#starting?.then(
      () => "started" as const,
      () => "failed" as const,
    );
    if (started === "failed") return;
    if (started) this.#state = "draining";
    await stopStages(this.#parts.stages);
    this.#state = "stopped";
    if (started) this.#settings.logger.info({ worker: this.#settings.name }, "worker stopped");
  }
}

/**
 * Builds a worker. It does nothing until start() or run().
 * @throws InvalidOptionsError with every issue if the options are invalid
 */
export function createWorker(options: WorkerOptions): Worker {
  return new Worker(options);
}
