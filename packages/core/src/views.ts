/*
 * The subpath `@hark/core/schema`: Hark's tables for applications that read them with Drizzle. They
 * are declared as existing views. So drizzle-kit makes no migration of them, and nobody writes to
 * them by mistake: a job that is moved by hand may lose its key or its owner.
 *
 * The functions of columns are for Hark's own tables. `pg-hark/schema` exports the views alone.
 *
 * This file is published as it stands, and imports nothing of ours: an application's compiler reads
 * it with the application's drizzle-orm, whose types differ between versions.
 */
import { sql } from "drizzle-orm";
import { bigint, boolean, integer, jsonb, pgSchema, smallint, text, timestamp, uuid } from "drizzle-orm/pg-core";

/**
 * What a job carries from table to table, whatever stage it is in. The stage's own columns stand in
 * its table's file.
 */
const jobColumns = () => ({
  /** The lane it runs in. */
  queue: text().notNull(),
  /** The name of its job type. */
  type: text().notNull(),
  /** Its input, sealed if the producer has a cipher. */
  payload: jsonb().notNull(),
  /** Higher is claimed first. */
  priority: integer().notNull(),
  /** Attempts that count so far; of a running job, the one that runs. */
  attempt: smallint().notNull(),
  /** Attempts in all. */
  maxAttempts: smallint("max_attempts").notNull(),
  /** How many workers died while it ran. */
  crashCount: smallint("crash_count").notNull(),
  /** No two jobs of a queue with the same key run at once. */
  key: text(),
  /** One unfinished job of a queue at most has it. */
  uniqueKey: text("unique_key"),
  /** The earliest start. */
  runAt: timestamp("run_at", { withTimezone: true }).notNull(),
  /** When it was enqueued. */
  createdAt: timestamp("created_at", { withTimezone: true }).notNull(),
});

// `default(0n)` stops drizzle-kit 0.31, which cannot write a bigint as JSON.
const counter = (name: string) =>
  bigint(name, { mode: "bigint" })
    .notNull()
    .default(sql`0`);

/** The columns of `jobs`. */
export const waitingJobColumns = () => ({
  // By default, not always: a retry comes back under its old id.
  id: bigint({ mode: "bigint" }).primaryKey().generatedByDefaultAsIdentity(),
  ...jobColumns(),
  state: text({ enum: ["scheduled", "ready", "parked"] }).notNull(),
});

/** The columns of `running_jobs`. */
export const runningJobsColumns = () => ({
  id: bigint({ mode: "bigint" }).primaryKey(),
  ...jobColumns(),
  startedAt: timestamp("started_at", { withTimezone: true }).notNull(),
  worker: uuid().notNull(),
  token: uuid().notNull(),
  /**
   * Jobs of its key may be parked until it ends; see hark.hand_off. False says that none is. Who
   * parks one sets it under a lock on this row.
   */
  handsOff: boolean("hands_off").notNull().default(false),
  /**
   * Its handler was about to start. Written for jobs that a crash may bury: on their last attempt,
   * or after a crash. Of others it says nothing.
   */
  begun: boolean().notNull().default(false),
});

/** The columns of `row_locks`. */
export const rowLocksColumns = () => ({
  name: text().primaryKey(),
});

/** The columns of `finished_jobs`. */
export const finishedJobsColumns = () => ({
  id: bigint({ mode: "bigint" }).notNull(),
  ...jobColumns(),
  state: text({ enum: ["completed", "cancelled"] }).notNull(),
  result: jsonb(),
  /** Null for a job cancelled before it ran. */
  startedAt: timestamp("started_at", { withTimezone: true }),
  finishedAt: timestamp("finished_at", { withTimezone: true }).notNull(),
  worker: uuid(),
});

/** The columns of `dead_jobs`. */
export const deadJobsColumns = () => ({
  id: bigint({ mode: "bigint" }).primaryKey(),
  ...jobColumns(),
  reason: text({
    enum: ["attempts_exhausted", "unrecoverable", "invalid_payload", "payload_unreadable", "worker_died"],
  }).notNull(),
  error: text().notNull(),
  startedAt: timestamp("started_at", { withTimezone: true }).notNull(),
  finishedAt: timestamp("finished_at", { withTimezone: true }).notNull(),
});

/** The columns of `attempts`. */
export const attemptsColumns = () => ({
  jobId: bigint("job_id", { mode: "bigint" }).notNull(),
  queue: text().notNull(),
  type: text().notNull(),
  attempt: smallint().notNull(),
  ending: text({
    enum: ["completed", "error", "retry_after", "fatal", "timeout", "cancelled", "snoozed", "interrupted", "crashed"],
  }).notNull(),
  error: text(),
  worker: uuid(),
  token: uuid(),
  startedAt: timestamp("started_at", { withTimezone: true }),
  finishedAt: timestamp("finished_at", { withTimezone: true }).notNull(),
  /** When the job may run again; null if this was its end. */
  retryAt: timestamp("retry_at", { withTimezone: true }),
});

/** The columns of `unique_keys`. */
export const uniqueKeysColumns = () => ({
  queue: text().notNull(),
  uniqueKey: text("unique_key").notNull(),
  jobId: bigint("job_id", { mode: "bigint" }).notNull(),
});

/** The columns of `workers`. */
export const workersColumns = () => ({
  id: uuid().primaryKey(),
  /** A label for people; never an identity. */
  name: text().notNull(),
  hostname: text().notNull(),
  pid: integer().notNull(),
  /** Concurrency by queue. */
  queues: jsonb().notNull(),
  startedAt: timestamp("started_at", { withTimezone: true }).notNull(),
  expiresAt: timestamp("expires_at", { withTimezone: true }).notNull(),
  /** Since when its renewals have come without a gap: since then the database was in reach. */
  steadySince: timestamp("steady_since", { withTimezone: true }).notNull().defaultNow(),
  deadAt: timestamp("dead_at", { withTimezone: true }),
});

/** The columns of `locks`. */
export const locksColumns = () => ({
  key: text().primaryKey(),
  token: uuid().notNull(),
  /**
   * An era in the high bits and a sequence number in the low 40: it only ever grows, also over a
   * failover and in a copy of the database.
   */
  fence: bigint({ mode: "bigint" }).notNull(),
  owner: text().notNull(),
  acquiredAt: timestamp("acquired_at", { withTimezone: true }).notNull(),
  expiresAt: timestamp("expires_at", { withTimezone: true }).notNull(),
});

/** The columns of `schedules`. */
export const schedulesColumns = () => ({
  name: text().primaryKey(),
  /** A pattern in the zone, or an interval: one of the two. */
  cron: text(),
  zone: text(),
  everyMs: bigint("every_ms", { mode: "number" }),
  missed: text({ enum: ["none", "once", "all"] }).notNull(),
  queue: text().notNull(),
  type: text().notNull(),
  payload: jsonb().notNull(),
  priority: integer().notNull(),
  maxAttempts: smallint("max_attempts").notNull(),
  key: text(),
  uniqueKey: text("unique_key"),
  /** Grows with each change of the declaration, so that nobody fires by an older one. */
  revision: bigint({ mode: "number" }).notNull(),
  /** The earliest tick that was not dealt with yet; null if there is none any more. */
  nextAt: timestamp("next_at", { withTimezone: true }),
  changedAt: timestamp("changed_at", { withTimezone: true }).notNull(),
});

/** The columns of `schedule_ticks`. */
export const scheduleTicksColumns = () => ({
  schedule: text().notNull(),
  tick: timestamp({ withTimezone: true }).notNull(),
  firedAt: timestamp("fired_at", { withTimezone: true }).notNull(),
});

/** The columns of `stats`. */
export const statsColumns = () => ({
  queue: text().notNull(),
  completed: counter("completed"),
  cancelled: counter("cancelled"),
  /** Falls when a dead letter is requeued, so the sum is how many there are. */
  dead: counter("dead"),
});

/** The columns of `fences`. */
export const fencesColumns = () => ({
  /** The cluster, timeline and table in which the era began. Any other begins the next. */
  origin: text().primaryKey(),
  era: bigint({ mode: "bigint" }).notNull(),
});

/** The columns of `hosts`. */
export const hostsColumns = () => ({
  host: text().primaryKey(),
  /** The earliest moment of the next turn. */
  freeAt: timestamp("free_at", { withTimezone: true }).notNull(),
  /**
   * By priority from 0 to 10, counted from 1: when the line of jobs of that priority ends that were
   * told to come back. Null for an empty line.
   */
  lines: timestamp({ withTimezone: true }).array().notNull(),
});

const hark = pgSchema("hark");

/** Waiting jobs: scheduled, ready or parked. */
export const jobs = hark.view("jobs", waitingJobColumns()).existing();
/** Claimed jobs. */
export const runningJobs = hark.view("running_jobs", runningJobsColumns()).existing();
/** Rows that Hark's functions lock. */
export const rowLocks = hark.view("row_locks", rowLocksColumns()).existing();
/** Completed and cancelled jobs, until their day is dropped. */
export const finishedJobs = hark.view("finished_jobs", finishedJobsColumns()).existing();
/** Dead letters. */
export const deadJobs = hark.view("dead_jobs", deadJobsColumns()).existing();
/** Every ending of an attempt other than a clean first success. */
export const attempts = hark.view("attempts", attemptsColumns()).existing();
/** The unfinished job of each unique key. */
export const uniqueKeys = hark.view("unique_keys", uniqueKeysColumns()).existing();
/** Worker processes, each with its lease. */
export const workers = hark.view("workers", workersColumns()).existing();
/** Locks of application code. */
export const locks = hark.view("locks", locksColumns()).existing();
/** The era of the fences of locks, in one row. */
export const fences = hark.view("fences", fencesColumns()).existing();
/** Hosts that jobs take turns at. */
export const hosts = hark.view("hosts", hostsColumns()).existing();
/** Recurring rules. */
export const schedules = hark.view("schedules", schedulesColumns()).existing();
/** Ticks that were fired within a day. */
export const scheduleTicks = hark.view("schedule_ticks", scheduleTicksColumns()).existing();
/** Counts of finished jobs, as rows to be summed. */
export const stats = hark.view("stats", statsColumns()).existing();
