import { createLocks, type Database, type DatabaseOptions, type Locks } from "@hark/core";
import { longestPromoteMs } from "@hark/core/internal";
import { ClaimConfirmer } from "./claim/claim-confirmer.ts";
import { Claimer } from "./claim/claimer.ts";
import { Claimers } from "./claim/claimers.ts";
import { handOver } from "./claim/hand-over.ts";
import { NextOfKey } from "./claim/next-of-key.ts";
import { PendingClaims } from "./claim/pending-claims.ts";
import { Scheduler } from "./cron/scheduler.ts";
import { LeaseKeeper } from "./lease/lease-keeper.ts";
import type { WorkerSettings } from "./options.ts";
import type { Ports } from "./ports.ts";
import { Promoter } from "./promote/promoter.ts";
import { Attempts } from "./run/attempts.ts";
import { Cancellations } from "./run/cancellations.ts";
import { Drain } from "./run/drain.ts";
import { WorkerEvents } from "./run/events.ts";
import { Executor } from "./run/executor.ts";
import { Quarantine } from "./run/quarantine.ts";
import { Slots } from "./run/slots.ts";
import { StartMarks } from "./run/start-marks.ts";
import { calmLogger } from "./runtime/calm-logger.ts";
import { TypedEvent } from "./runtime/event.ts";
import type { Part, Stage } from "./runtime/part.ts";
import { flushDeadlineMs, Settler } from "./settle/settler.ts";
import { frozenListenerWatch } from "./upkeep/frozen-listeners.ts";
import { missingHandlerWatch } from "./upkeep/missing-handlers.ts";
import { oldSnapshotWatch } from "./upkeep/old-snapshots.ts";
import { partitions } from "./upkeep/partitions.ts";
import { rescuer } from "./upkeep/rescuer.ts";
import { schemaWatch } from "./upkeep/schema-watch.ts";
import { sessionSettings } from "./upkeep/session-settings.ts";
import { statistics } from "./upkeep/statistics.ts";
import { survivedClaims } from "./upkeep/survived-claims.ts";
import { sweep } from "./upkeep/sweep.ts";
import { Unpark } from "./upkeep/unpark.ts";
import { vacuum } from "./upkeep/vacuum.ts";
import { IdlePolicy } from "./wake/idle-policy.ts";
import { Listener } from "./wake/listener.ts";
import { NotifyGate } from "./wake/notify-gate.ts";
import { Poll } from "./wake/poll.ts";
import { ReadyJobs } from "./wake/ready-jobs.ts";

/**
 * How long a stop waits for loops to end their step, in ms: longer than a query's own deadline, and
 * shorter than a supervisor waits.
 */
const loopDeadlineMs = 11_000;

/**
 * Connections for settles, for claims that carry outcomes (two at once) and for upkeep. Claims
 * alone, the listener, the lease and, while there is much to clear, vacuums have their own.
 */
const maxConnections = 3;

/**
 * How long a vacuum may take, in ms: a stop waits for it, and autovacuum does what takes longer.
 */
const vacuumDeadlineMs = 5_000;

/**
 * A job that is due within this many of the poll's intervals is the promoter's: the poll may come
 * late by a tenth, and its statement takes a moment.
 */
const promoterShare = 1.5;

/** The parts of a worker that other code uses, and all parts in the order in which they start. */
export interface WorkerParts {
  readonly events: WorkerEvents;
  readonly locks: Locks;
  readonly listener: Listener;
  readonly lease: LeaseKeeper;
  readonly settler: Settler;
  /** By queue. */
  readonly slots: ReadonlyMap<string, Slots>;
  readonly attempts: Attempts;
  readonly drain: Drain;
  /** By queue. */
  readonly claimers: ReadonlyMap<string, Claimer>;
  readonly claiming: Claimers;
  readonly poll: Poll;
  /** Set only if there are schedules to declare. */
  readonly scheduler: Scheduler | undefined;
  /** Sink first, source last. Starting walks them forwards, and stopping backwards. */
  readonly stages: readonly Stage[];
  /** How long a stop of all stages may take, whatever hangs, in ms. */
  readonly stopMs: number;
}

/**
 * Builds the parts of a worker from top to bottom. A part uses only parts that are built above it
 * here, or subscribes to their events. No part refers to one below it.
 */
export function buildWorker(
  settings: WorkerSettings,
  ports: Ports,
  events: WorkerEvents = new WorkerEvents(settings.logger),
): WorkerParts {
  const { connectionString, password, isPooled, listenUrl, handlers, concurrency, name, cipher, leaseMs, pollMs } =
    settings;
  const logger = calmLogger(settings.logger); // for the parts; handlers and their outcomes have their own
  const types = [...handlers.keys()];

  const databases = openDatabases(settings, ports);
  const { db, claimDb, vacuumDb } = databases;

  const listening = new TypedEvent();
  const listener = new Listener({
    connectionString: listenUrl,
    password,
    logger,
    onListening: () => listening.emit(),
    newSession: ports.newListenSession,
  });
  const gateLost = new TypedEvent();
  const gate = new NotifyGate({
    connectionString: listenUrl,
    password,
    logger,
    onLost: () => gateLost.emit(),
    openDatabase: ports.openDatabase,
  });
  const locks = createLocks({ db, notifications: listener, owner: name });
  const lease = new LeaseKeeper({
    connectionString,
    password,
    isPooled,
    db,
    name,
    queues: Object.fromEntries(concurrency),
    leaseMs,
    logger,
    startThread: ports.startLeaseThread,
  });

  const pending = new PendingClaims();
  const nextOfKey = new NextOfKey({ lease, pending, types });
  const settler = new Settler({ db, logger, ...(settings.isPrefetching && { nextOfKey }) });
  const quarantine = new Quarantine({ isOn: settings.isQuarantining });
  const slots = [...concurrency].map(
    ([queue, capacity]) => new Slots({ queue, capacity, isPrefetching: settings.isPrefetching, settler, quarantine }),
  );
  const { drainMs, abortMs } = settings;
  const attempts = new Attempts();
  const executor = new Executor({
    handlers,
    slots,
    attempts,
    quarantine,
    lease,
    settler,
    marks: new StartMarks({ db, logger }),
    events,
    graceMs: abortMs,
    cipher,
    logger: settings.logger,
  });
  const lastMs = lastMsOf(drainMs, abortMs);
  const drain = new Drain({ attempts, executor, settler, drainMs, abandonMs: abortMs + lastMs / 2, logger });
  const cancellations = new Cancellations({ db, notifications: listener, attempts, logger });
  const confirmer = new ClaimConfirmer({ db, attempts, lease, cancellations, logger });

  nextOfKey.claimed.on((claimed) => handOver(claimed, executor));
  const readyJobs = new ReadyJobs({ db: claimDb, types });
  const claimerOf = (of: Slots) =>
    new Claimer({
      db,
      claimDb,
      slots: of,
      executor,
      settler,
      confirmer,
      lease,
      pending,
      types,
      idle: new IdlePolicy({
        queue: of.queue,
        gate,
        isListening: () => listener.state === "listening",
        isAnyReady: () => readyJobs.areIn(of.queue),
        pollMs,
        logger,
      }),
      pollMs,
      logger,
    });
  const claimers = slots.map((of) => ({ claimer: claimerOf(of), slots: of }));
  const wokenBy = [lease.registered, listening, gateLost];
  const claiming = new Claimers({ claimers, listener, gate, lease, wokenBy, logger });

  const dueEveryMs = Math.min(settings.promoteMs, longestPromoteMs); // jobs due later are not announced
  const promoter = new Promoter({ db, notifications: listener, horizonMs: promoterShare * dueEveryMs, logger });
  const poll = new Poll({
    db,
    types,
    claimers: claimers.map(({ claimer }) => claimer),
    promoter,
    queuesEveryMs: pollMs,
    dueEveryMs,
    hurriedBy: [readyJobs.failed, listening],
    onMissed() {
      listener.doubt();
      void gate.check();
    },
    logger,
  });

  const { schedules } = settings;
  const scheduler =
    schedules.length > 0 ? new Scheduler({ db, notifications: listener, schedules, cipher, logger }) : undefined;

  const sources: Part[] = [
    claiming,
    promoter,
    poll,
    nextOfKey,
    rescuer({ db, lease, attempts, pending, cancellations, leaseMs, logger }),
    survivedClaims({ db, lease, attempts, events, leaseMs, logger }),
    ...(scheduler ? [scheduler] : []),
    partitions({ db, keepDays: settings.keepDays, logger }),
    statistics({ db, moved: settler.moved, logger }),
    sweep({ db, logger }),
    new Unpark({ db, notifications: listener, queues: concurrency.keys(), logger }),
    vacuum({ db: vacuumDb, moved: settler.moved, logger }),
    oldSnapshotWatch({ db, identity: () => lease.identity, logger }),
    frozenListenerWatch({ db, lease, logger }),
    missingHandlerWatch({ db, queues: concurrency.keys(), types, logger }),
    sessionSettings({ db, isPooled, logger }),
    schemaWatch({ db, logger, onShutOut: (error) => claiming.shutOut(error) }),
  ];

  return {
    events,
    locks,
    listener,
    lease,
    settler,
    slots: new Map(slots.map((of) => [of.queue, of])),
    attempts,
    drain,
    claimers: new Map(claimers.map(({ claimer }) => [claimer.queue, claimer])),
    claiming,
    poll,
    scheduler,
    stopMs: drainMs + abortMs + lastMs,
    stages: [
      { parts: [{ stop: async () => logger.end() }] },
      { parts: [{ start: () => ports.checkSchema(connectionString, { password }) }] },
      { parts: Object.values(databases).map(closing), stopWithinMs: flushDeadlineMs },
      { parts: [gate] },
      // Stops after the last job is settled. Ending the lease before would hand running jobs to
      // others.
      { parts: [lease] },
      // After the lease: a worker that listens is taken to be ready.
      { parts: [{ start: () => listener.start(), stop: () => listener.close() }] },
      { parts: [settler, cancellations, confirmer], stopWithinMs: flushDeadlineMs },
      { parts: [drain] },
      { parts: sources, stopWithinMs: loopDeadlineMs },
    ],
  };
}

/**
 * How long a stop may take after the last job has ended or was given up, in ms: to write outcomes,
 * to give up the lease and to close connections. With the default times, the whole stop stays below
 * the 30 s after which Kubernetes kills.
 */
function lastMsOf(drainMs: number, abortMs: number): number {
  return Math.min(Math.max(29_000 - drainMs - abortMs, 2_000), 10_000);
}

const closing = (database: Database): Part => ({ stop: () => database.close() });

function openDatabases({ connectionString, password, isPooled }: WorkerSettings, { openDatabase }: Ports) {
  const open = (options: Partial<DatabaseOptions>) =>
    openDatabase({ connectionString, password, isPooled, applicationName: "hark worker", ...options });
  return {
    db: open({ maxConnections, plansByIndex: true }),
    claimDb: open({ maxConnections: 1, plansByIndex: true }),
    vacuumDb: open({ maxConnections: 1, deadlineMs: vacuumDeadlineMs }),
  };
}
