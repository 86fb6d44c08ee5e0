import { type Locks, WorkerStoppedError } from "@hark/core";
import { orLate } from "@hark/core/internal";
import { buildWorker, type WorkerParts } from "./build-worker.ts";
import { parseOptions, type WorkerOptions, type WorkerSettings } from "./options.ts";
import { type Ports, realPorts } from "./ports.ts";
import { WorkerEvents } from "./run/events.ts";
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

/**
 * A worker process: starts and stops its parts in order. It starts once: after a stop, make another
 * one. See createWorker().
 */
export class Worker implements Stoppable, AsyncDisposable {
  /** Listeners stay, also after a start that failed. */
  readonly events: WorkerEvents;
  readonly #settings: WorkerSettings;
  readonly #ports: Ports;
  #parts: WorkerParts;
  #state: WorkerState = "new";
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #running: Promise<void> | undefined;
  readonly #stopped = Promise.withResolvers<{ isComplete: boolean }>();

  /** `ports` is for simulations: see {@link Ports}. */
  constructor(options: WorkerOptions, ports: Ports = realPorts) {
    this.#settings = parseOptions(options);
    this.#ports = ports;
    this.events = new WorkerEvents(this.#settings.logger);
    this.#parts = buildWorker(this.#settings, ports, this.events);
  }

  /**
   * Locks by key for application code. This worker's listener wakes their waiters. Ask for them
   * again after a start that failed.
   */
  get locks(): Locks {
    return this.#parts.locks;
  }

  /** Resolves once the worker was stopped, by a signal or by code. */
  get stopped(): Promise<{ isComplete: boolean }> {
    return this.#stopped.promise;
  }

  /**
   * Starts claiming. Resolves once the lease holds; it does not wait for a listener that cannot
   * connect, since the poll finds every job. A second call while it starts or runs returns the same
   * promise. If it throws, it has cleaned up, and may be called again.
   * @throws SchemaVersionError if the schema is missing, older than this code, or newer and does
   * not let it in
   * @throws DatabaseUnreachableError
   * @throws WorkerStoppedError after stop()
   */
  start(): Promise<void> {
    if (this.#stopping) return Promise.reject(new WorkerStoppedError(this.#settings.name));
    return (this.#starting ??= this.#start());
  }

  /**
   * Stops claiming, and waits up to the drain time for running jobs. Aborts the others, and hands
   * back the rest without counting the attempt. `"now"` skips the drain, also that of a running
   * stop. Resolves when nothing runs any more, or when the time for a stop is over: drainTimeout
   * and abortTimeout and some seconds, 29 s by default. May be called at any time and again; a
   * worker that has not started never will.
   */
  stop(how: "drain" | "now" = "drain"): Promise<void> {
    if (how === "now") this.#parts.drain.hurry();
    return (this.#stopping ??= this.#stop());
  }

  /**
   * Runs as a service: starts, and resolves once SIGTERM or SIGINT or a call of stop() has stopped
   * it, which may be while it starts. A second signal aborts, a third exits. Throws what start()
   * throws. A second call returns the same promise.
   */
  run(): Promise<void> {
    return (this.#running ??= this.#run().catch((error: unknown) => {
      this.#running = undefined;
      throw error;
    }));
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

  async #run(): Promise<void> {
    if (this.#stopping) throw new WorkerStoppedError(this.#settings.name);
    const starting = this.start().then(() => this.#parts.lease.endProcessWhenHung());
    await runUntilSignalled(this, this.#settings.logger, starting);
  }

  async #start(): Promise<void> {
    const { logger, concurrency, handlers, name } = this.#settings;
    this.#state = "starting";
    const stopOptions = { withinMs: this.#parts.stopMs, logger };
    try {
      if (!(await startStages(this.#parts.stages, () => this.#stopping !== undefined, stopOptions))) return;
    } catch (error) {
      // Before the next call: a connection that was closed does not open again.
      this.#parts = buildWorker(this.#settings, this.#ports, this.events);
      this.#starting = undefined;
      this.#state = "stopped";
      throw error;
    }
    this.#state = "running";
    const facts = { worker: name, queues: Object.fromEntries(concurrency), types: [...handlers.keys()] };
    logger.info(facts, "worker started");
    for (const { job } of handlers.values()) {
      if (concurrency.has(job.queue)) continue;
      logger.warn(
        { type: job.type, queue: job.queue, queues: [...concurrency.keys()] },
        'this worker has a handler whose queue it does not serve: its jobs wait for another worker. Name the queue in queues, or give "*"',
      );
    }
  }

  async #stop(): Promise<void> {
    const since = performance.now();
    const { name, logger } = this.#settings;
    const { stopMs } = this.#parts;
    // Start and stop are serialised (FM-51); a start that failed has cleaned up after itself.
    const started = this.#starting?.then(
      () => "started" as const,
      () => "failed" as const,
    );
    const ended = started && (await orLate(started, stopMs));
    let isComplete = true;
    if (ended !== "failed") {
      if (ended) this.#state = "draining";
      isComplete = await stopStages(this.#parts.stages, { withinMs: stopMs, since, logger });
    }
    this.#state = "stopped";
    if (ended) logger.info({ worker: name, isComplete }, "worker stopped");
    this.#stopped.resolve({ isComplete });
  }
}

/**
 * Builds a worker. It does nothing until start() or run().
 * @throws InvalidOptionsError with every issue if the options are invalid
 */
export function createWorker(options: WorkerOptions): Worker {
  return new Worker(options);
}
