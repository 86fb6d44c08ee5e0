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
  /** What keeps it from being healthy, in words; empty if nothing does. */
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

  /** Locks by key for application code; waiters wake by this worker's listener. */
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
   * Stops claiming, lets running jobs end within the drain time, aborts the others, hands back what
   * is left without burning an attempt, and leaves. `"now"` skips the drain, also for a stop that
   * is under way. Resolves when nothing runs any more.
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
    const { lease, listener, claiming, scheduler, attempts } = this.#parts;
    const reasons: string[] = [];
    if (this.#state !== "running") reasons.push(`the worker is ${this.#state}`);
    else if (lease.identity === undefined) reasons.push("the worker has no lease, so it claims nothing");
    if (listener.state !== "listening") {
      const { pollMs } = this.#settings;
      reasons.push(`no wake-ups (${listener.reason ?? listener.state}): jobs start by the poll, every ${pollMs} ms`);
    }
    reasons.push(...claiming.troubles);
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
   * Resolves once the lease holds and notifications arrive; without a listener that can connect,
   * never.
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
 * Builds a worker; it does nothing until start() or run().
 * @throws InvalidOptionsError with everything that is wrong with the options
 */
export function createWorker(options: WorkerOptions): Worker {
  return new Worker(options);
}
