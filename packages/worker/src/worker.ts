import {
  channels,
  createLocks,
  type Database,
  HarkError,
  type JobReady,
  type Locks,
  orLate,
  readJobReady,
  type SchemaVersionError,
  statements,
} from "@hark/core";
import { Cancellations } from "./run/cancellations.ts";
import { Claimer } from "./claim/claimer.ts";
import { ClaimConfirmer } from "./claim/claim-confirmer.ts";
import { WorkerEvents } from "./run/events.ts";
import { Executor } from "./run/executor.ts";
import { NotifyGate } from "./wake/notify-gate.ts";
import { LeaseKeeper } from "./lease/lease-keeper.ts";
import { Listener } from "./wake/listener.ts";
import { parseOptions, type WorkerOptions, type WorkerSettings } from "./options.ts";
import { type Ports, realPorts } from "./ports.ts";
import type { Part } from "./runtime/part.ts";
import { runUntilSignalled, type Stoppable } from "./runtime/shutdown.ts";
import { Promoter } from "./promote/promoter.ts";
import { Scheduler } from "./cron/scheduler.ts";
import { Settler } from "./settle/settler.ts";
import { IdlePolicy } from "./wake/idle-policy.ts";
import { FrozenListenerWatch } from "./upkeep/frozen-listeners.ts";
import { missingHandlerWatch } from "./upkeep/missing-handlers.ts";
import { OldSnapshotWatch } from "./upkeep/old-snapshots.ts";
import { partitionUpkeep } from "./upkeep/partitions.ts";
import { Rescuer } from "./upkeep/rescuer.ts";
import { schemaWatch } from "./upkeep/schema-watch.ts";
import { staggerMs } from "./wake/stagger.ts";
import { statisticsUpkeep } from "./upkeep/statistics.ts";
import { Vacuum } from "./upkeep/vacuum.ts";

export type WorkerState = "new" | "starting" | "running" | "draining" | "stopped";

export interface WorkerHealth {
  readonly state: WorkerState;
  /** It claims jobs, its lease holds, notifications arrive, and its schedules are fired in time. */
  readonly isHealthy: boolean;
  /** What keeps it from being healthy, in words; empty if nothing does. */
  readonly reasons: readonly string[];
  readonly activeJobs: number;
  /** Whether wake-ups arrive; "polling" means that only the poll finds jobs. */
  readonly listener: Listener["state"];
}

/** How long the last words to the database may take when a worker stops, in ms. */
const flushDeadlineMs = 5_000;

/** How long it waits for loops to end their step, in ms: above a query's own deadline, below a supervisor's patience. */
const loopDeadlineMs = 11_000;

/**
 * Connections for settles, of which claims take two along at once, and for upkeep. Claims alone, the listener, the lease and, while
 * there is much to clear, vacuums have their own.
 */
const maxConnections = 3;

/** What a vacuum may take, in ms: a stop waits for it, and autovacuum does what takes longer. */
const vacuumDeadlineMs = 5_000;

/** Builds the parts of a worker process and starts and stops them in order. See createWorker(). */
export class Worker implements Stoppable, AsyncDisposable {
  readonly events: WorkerEvents;
  /** Locks by key for application code; waiters wake by this worker's listener. */
  readonly locks: Locks;
  readonly #settings: WorkerSettings;
  readonly #outside: Ports;
  readonly #db: Database;
  readonly #claimDb: Database;
  readonly #vacuumDb: Database;
  readonly #listener: Listener;
  readonly #gate: NotifyGate;
  readonly #lease: LeaseKeeper;
  readonly #settler: Settler;
  readonly #executor: Executor;
  readonly #confirmer: ClaimConfirmer;
  readonly #claimers: readonly Claimer[];
  /** Works as long as jobs run. */
  readonly #cancellations: Cancellations;
  /** Only with schedules to declare: a worker without any asks for none. */
  readonly #scheduler: Scheduler | undefined;
  /** What finds or makes work: stops first. */
  readonly #sources: readonly Part[];
  #state: WorkerState = "new";
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  /** Why it claims nothing any more, though it goes on. */
  #shutOut: SchemaVersionError | undefined;
  readonly #hurry = Promise.withResolvers<void>();

  /** `outside` is for simulations: see {@link Ports}. */
  constructor(options: WorkerOptions, outside: Ports = realPorts) {
    this.#outside = outside;
    const settings = (this.#settings = parseOptions(options));
    const { connectionString, listenUrl, isPooled, handlers, concurrency, name, logger, leaseMs, pollMs } = settings;
    const types = [...handlers.keys()];

    const events = (this.events = new WorkerEvents(logger));
    const db = (this.#db = outside.openDatabase({
      connectionString,
      isPooled,
      maxConnections,
      plansByIndex: true,
      applicationName: "hark worker",
    }));
    const claimDb = (this.#claimDb = outside.openDatabase({
      connectionString,
      isPooled,
      maxConnections: 1,
      plansByIndex: true,
      applicationName: "hark worker",
    }));
    const vacuumDb = (this.#vacuumDb = outside.openDatabase({
      connectionString,
      isPooled,
      maxConnections: 1,
      deadlineMs: vacuumDeadlineMs,
      applicationName: "hark worker",
    }));
    const notifications = (this.#listener = new Listener({
      connectionString: listenUrl,
      logger,
      onListening: () => this.#wakeClaimers(),
      newSession: outside.newListenSession,
    }));
    const gate = (this.#gate = new NotifyGate({
      connectionString: listenUrl,
      logger,
      onLost: () => this.#wakeClaimers(),
      openDatabase: outside.openDatabase,
    }));
    const isListening = () => notifications.state === "listening";
    this.locks = createLocks({ db, notifications, owner: name });
    const vacuum = new Vacuum({ db: vacuumDb, logger });
    const settler = (this.#settler = new Settler({ db, logger, onMoved: (jobs) => vacuum.count(jobs) }));
    const executor = (this.#executor = new Executor({
      handlers,
      concurrency,
      settler,
      events,
      isLeaseHeld: (nowMs) => this.#lease.isHeld(nowMs),
      graceMs: settings.abortMs,
      cipher: settings.cipher,
      logger,
    }));
    const lease = (this.#lease = new LeaseKeeper({
      connectionString,
      db,
      name,
      queues: Object.fromEntries(concurrency),
      leaseMs,
      logger,
      onLost: () => {
        executor.abortAll("lease lost");
        events.tell("leaseLost");
      },
      onRegistered: () => this.#wakeClaimers(),
      startThread: outside.startLeaseThread,
    }));
    const cancellations = (this.#cancellations = new Cancellations({ db, notifications, executor, logger }));
    const confirmer = (this.#confirmer = new ClaimConfirmer({
      db,
      executor,
      identity: () => lease.identity,
      onGone: (id) => cancellations.suspect(id),
      logger,
    }));
    const rescuer = new Rescuer({
      db,
      lease,
      executor,
      isAwaited: (token) => this.#claimers.some((claimer) => claimer.isAwaited(token)),
      onUnheld: (id) => cancellations.suspect(id),
      leaseMs,
      logger,
    });
    this.#claimers = [...concurrency.keys()].map(
      (queue) =>
        new Claimer({
          queue,
          db,
          claimDb,
          executor,
          settler,
          confirmer,
          lease,
          types,
          sleeper: new IdlePolicy({
            queue,
            gate,
            isListening,
            isAnyReady: () => statements.isAnyReady(claimDb, { queue, types }),
            pollMs,
            logger,
          }),
          onUnanswered: () => rescuer.claimUnanswered(),
          pollMs,
          logger,
        }),
    );
    const { schedules, cipher } = settings;
    const scheduler =
      schedules.length > 0 ? new Scheduler({ db, notifications, schedules, cipher, logger }) : undefined;
    this.#scheduler = scheduler;
    this.#sources = [
      ...this.#claimers,
      new Promoter({ db, notifications, pollMs: settings.promoteMs, logger }),
      rescuer,
      ...(scheduler ? [scheduler] : []),
      partitionUpkeep({ db, keepDays: settings.keepDays, logger }),
      statisticsUpkeep({ db, logger }),
      vacuum,
      new OldSnapshotWatch({ db, identity: () => lease.identity, logger }).loop,
      new FrozenListenerWatch({ db, logger }).loop,
      missingHandlerWatch({ db, queues: concurrency.keys(), types, logger }),
      schemaWatch({ db, logger, onShutOut: (error) => this.#endClaims(error) }),
    ];

    notifications.on(channels.jobReady, (payload) => {
      if (payload !== undefined) return this.#announce(readJobReady(payload));
      void gate.check(); // what cost the listener its session may have cost the gate its own
      this.#wakeClaimers();
    });
  }

  /**
   * Starts claiming. Resolves once the lease holds; a listener that cannot connect is no reason to wait, since the poll finds.
   * @throws SchemaVersionError if the schema is missing, older than this code, or newer and does not let it in
   * @throws DatabaseUnreachableError
   */
  start(): Promise<void> {
    return (this.#starting ??= this.#start());
  }

  /**
   * Stops claiming, lets running jobs end within the drain time, aborts the others, hands back what is left without burning an
   * attempt, and leaves. `"now"` skips the drain, also for a stop that is under way. Resolves when nothing runs any more.
   */
  stop(how: "drain" | "now" = "drain"): Promise<void> {
    if (how === "now") this.#hurry.resolve();
    return (this.#stopping ??= this.#stop());
  }

  /**
   * Runs as a service: starts, and resolves once SIGTERM or SIGINT has stopped it, which may be while it starts. A second signal
   * aborts, a third exits. Throws what start() throws.
   */
  async run(): Promise<void> {
    const starting = this.start().then(() => this.#lease.endProcessWhenHung());
    await runUntilSignalled(this, this.#settings.logger, starting);
  }

  health(): WorkerHealth {
    const reasons: string[] = [];
    if (this.#state !== "running") reasons.push(`the worker is ${this.#state}`);
    else if (this.#lease.identity === undefined) reasons.push("the worker has no lease, so it claims nothing");
    if (this.#shutOut) reasons.push(`the worker claims nothing any more: ${this.#shutOut.message}`);
    if (this.#listener.state !== "listening") {
      reasons.push(
        `no wake-ups (${this.#listener.reason ?? this.#listener.state}): jobs start by the poll, every ${this.#settings.pollMs} ms`,
      );
    }
    for (const { queue, loop } of this.#claimers) {
      if (loop.failures > 0) reasons.push(`claiming from ${queue} failed ${loop.failures} times in a row`);
    }
    if (this.#scheduler?.trouble !== undefined) reasons.push(this.#scheduler.trouble);
    return {
      state: this.#state,
      isHealthy: reasons.length === 0,
      reasons,
      activeJobs: this.#executor.activeCount,
      listener: this.#listener.state,
    };
  }

  /** Resolves once notifications arrive; without a listener that can connect, never. */
  whenListening(signal?: AbortSignal): Promise<void> {
    return this.#listener.whenListening(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #closeDatabases(): Promise<void> {
    await Promise.all([this.#db.close(), this.#claimDb.close(), this.#vacuumDb.close()]);
  }

  /** What runs goes on and is settled, if the schema lets it; a supervisor that asks for health brings newer code. */
  #endClaims(error: SchemaVersionError): void {
    this.#shutOut = error;
    this.#settings.logger.error({ error }, "the schema needs newer code: this worker claims nothing any more");
    for (const claimer of this.#claimers) void claimer.stop();
  }

  #wakeClaimers(): void {
    for (const claimer of this.#claimers) claimer.resume();
  }

  /** Wakes the queue's claimer; one that sleeps lets so many other workers go first as the jobs are for. */
  #announce({ queue, jobs, salt }: JobReady): void {
    const me = this.#lease.identity;
    for (const claimer of this.#claimers) {
      if (claimer.queue !== queue) continue;
      if (jobs === undefined || salt === undefined || me === undefined) claimer.wake();
      else {
        const wanted = Math.ceil(jobs / Math.max(this.#executor.wanted(queue), 1));
        claimer.wake(staggerMs({ me, peers: this.#lease.peersOn(queue), salt, wanted }));
      }
    }
  }

  async #start(): Promise<void> {
    const { connectionString, logger, concurrency, handlers, name } = this.#settings;
    this.#state = "starting";
    try {
      await this.#outside.checkSchema(connectionString);
      await this.#lease.start();
    } catch (error) {
      this.#state = "stopped";
      await this.#closeDatabases();
      throw error;
    }
    if (this.#stopping) return; // stopped while it started
    this.#listener.start();
    this.#cancellations.start();
    for (const source of this.#sources) await source.start();
    this.#state = "running";
    logger.info(
      { worker: name, queues: Object.fromEntries(concurrency), types: [...handlers.keys()] },
      "worker started",
    );
  }

  async #stop(): Promise<void> {
    const { drainMs, abortMs, logger } = this.#settings;
    // Start and stop are serialised (FM-51); a start that failed has cleaned up after itself.
    const failure = await this.#starting?.catch((error: unknown) => error);
    if (failure instanceof HarkError || failure instanceof Error || !this.#starting) {
      this.#state = "stopped";
      await this.#closeDatabases();
      return;
    }
    this.#state = "draining";
    await orLate(Promise.all(this.#sources.map((source) => source.stop())), loopDeadlineMs);

    // The lease is kept until the last job is settled: letting it go first would hand running jobs to others.
    const drained = this.#executor.stop().then(() => "drained" as const);
    if ((await Promise.race([orLate(drained, drainMs), this.#hurry.promise])) !== "drained") {
      logger.warn({ running: this.#executor.activeCount }, "running jobs are aborted, to be handed back");
      this.#executor.abortAll("stopping");
      // A handler that ignores its signal is given up on by its attempt; the settler then has all there is to write.
      if ((await orLate(drained, abortMs + flushDeadlineMs)) === "late") this.#settler.abandon();
    }
    await orLate(
      Promise.all([this.#settler.stop(), this.#cancellations.stop(), this.#confirmer.stop()]),
      flushDeadlineMs,
    );
    this.#settler.abandon(); // or what is still unwritten would be tried again for ever, and keep the process alive
    await this.#lease.stop();
    await this.#gate.close();
    await this.#listener.close();
    await orLate(this.#closeDatabases(), flushDeadlineMs);
    this.#state = "stopped";
    logger.info({ worker: this.#settings.name }, "worker stopped");
  }
}

/**
 * Builds a worker; it does nothing until start() or run().
 * @throws InvalidOptionsError with everything that is wrong with the options
 */
export function createWorker(options: WorkerOptions): Worker {
  return new Worker(options);
}
