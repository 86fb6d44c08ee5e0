/** What every error of Hark has: a stable `code`, the facts as fields, and a message that says what to do next. */
export class HarkError extends Error {
  readonly code: string;
  readonly facts: Readonly<Record<string, unknown>>;

  constructor(code: string, facts: Record<string, unknown>, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
    this.facts = facts;
  }
}

/** One thing wrong with a value, where `path` leads to it, as in `["items", 2, "url"]`. */
export interface Issue {
  readonly message: string;
  readonly path: readonly (string | number)[];
}

/** A queue, job type or schedule has a name of the wrong form. */
export class InvalidNameError extends HarkError {
  constructor(what: string, name: unknown) {
    super(
      "INVALID_NAME",
      { what, name },
      `${quote(name)} cannot name a ${what}: use 1 to 63 lower-case letters, digits, "_", ".", ":" or "-", ` +
        `starting with a letter or digit. Nothing was written.`,
    );
  }
}

/** A payload does not fit the schema of its job type, or is not JSON. */
export class InvalidPayloadError extends HarkError {
  readonly issues: readonly Issue[];

  constructor(type: string, issues: readonly Issue[]) {
    super(
      "INVALID_PAYLOAD",
      { type, issues },
      `The payload of ${type} was refused: ${issues.slice(0, 5).map(issueText).join("; ")}` +
        `${issues.length > 5 ? `; and ${issues.length - 5} more` : ""}. Correct it and call again: this job was not written.`,
    );
    this.issues = issues;
  }
}

/** A worker cannot open a payload: its job becomes a dead letter, since another try would find the same. */
export class PayloadUnreadableError extends HarkError {
  constructor({ type, queue }: { type: string; queue: string }, why: string) {
    super(
      "PAYLOAD_UNREADABLE",
      { type, queue, why },
      `The payload of this ${type} in ${queue} cannot be read: ${why}. Its job is a dead letter. Give the worker the cipher ` +
        `with the key that sealed it, and requeue.`,
    );
  }
}

/** A payload has more than 256 KiB as JSON. */
export class PayloadTooLargeError extends HarkError {
  constructor(type: string, bytes: number, maxBytes: number) {
    super(
      "PAYLOAD_TOO_LARGE",
      { type, bytes, maxBytes },
      `The payload of ${type} has ${bytes} bytes as JSON, over the limit of ${maxBytes}. Store the content elsewhere and ` +
        `enqueue its address. Nothing was written.`,
    );
  }
}

/** Options of a function are wrong. `issues` lists all that is wrong with them. */
export class InvalidOptionsError extends HarkError {
  readonly issues: readonly Issue[];

  constructor(what: string, issues: readonly Issue[]) {
    super(
      "INVALID_OPTIONS",
      { what, issues },
      `${what} was refused: ${issues.map(issueText).join("; ")}. Nothing was written.`,
    );
    this.issues = issues;
  }
}

/** A job type was not defined with defineJob, or the server does not accept it. */
export class UnknownJobTypeError extends HarkError {
  constructor(type: unknown, known: readonly string[]) {
    super(
      "UNKNOWN_JOB_TYPE",
      { type, known },
      `There is no job type ${quote(type)}: known are ${known.length ? known.join(", ") : "none"}. Define it with defineJob, ` +
        `or correct the name. Nothing was written.`,
    );
  }
}

/** in(), guard() or completeIn() got something other than an open transaction. */
export class NotATransactionError extends HarkError {
  constructor(given: string, advice: string) {
    super("NOT_A_TRANSACTION", { given }, `in() expects an open transaction, but got ${given}. ${advice}`);
  }
}

/** The job is not this worker's any more. "claim in doubt": it was hardly claimed when the server crashed, or the connection broke. */
export class LeaseLostError extends HarkError {
  constructor(
    job: { id: bigint; type: string; attempt: number; maxAttempts: number },
    why: "outlived" | "claim in doubt" = "outlived",
  ) {
    const what = `Job ${job.id} (${job.type}, attempt ${job.attempt} of ${job.maxAttempts})`;
    super(
      "LEASE_LOST",
      { jobId: job.id, type: job.type, attempt: job.attempt },
      why === "outlived"
        ? `${what} outlived its lease: its outcome was not written, and another worker may run it again. ` +
            `Keep the event loop free, or raise the option lease (lockTTL of a JobManager).`
        : `${what} was told to stop: the database crashed or could not be asked just after it was claimed, so the claim may never ` +
            `have been written down. The attempt does not count, and the job runs again. Give it a key if no two runs may overlap then.`,
    );
  }
}

/** An attempt ran longer than the timeout of its job type. The reason of its signal. */
export class JobTimeoutError extends HarkError {
  constructor(job: { id: bigint; type: string }, timeoutMs: number) {
    super(
      "JOB_TIMEOUT",
      { jobId: job.id, type: job.type, timeoutMs },
      `Job ${job.id} (${job.type}) ran longer than its ${timeoutMs} ms and was aborted. Raise the type's timeout, or do less in ` +
        `one job.`,
    );
  }
}

/** A job was cancelled while it ran. The reason of its signal. */
export class JobCancelledError extends HarkError {
  constructor(job: { id: bigint; type: string }) {
    super(
      "JOB_CANCELLED",
      { jobId: job.id, type: job.type },
      `Job ${job.id} (${job.type}) was cancelled while it ran.`,
    );
  }
}

/** A worker stops, and the attempt outlasted the drain. The reason of its signal. */
export class WorkerStoppingError extends HarkError {
  constructor(job: { id: bigint; type: string }) {
    super(
      "WORKER_STOPPING",
      { jobId: job.id, type: job.type },
      `Job ${job.id} (${job.type}) was aborted because its worker stops; it goes back to the queue, and the attempt does not count.`,
    );
  }
}

/** A lock is held by someone else by now, or by nobody. */
export class LockLostError extends HarkError {
  constructor(key: string, fence: bigint) {
    super(
      "LOCK_LOST",
      { key, fence },
      `The lock on ${quote(key)} under fence ${fence} is no longer held: it expired, was released or was taken over. ` +
        `Nothing guarded by it was written. Acquire it again, with a longer ttlMs or a renew() in time.`,
    );
  }
}

/** A lock did not become free in the time that acquire() was told to wait. */
export class LockTimeoutError extends HarkError {
  constructor(key: string, waitMs: number) {
    super(
      "LOCK_TIMEOUT",
      { key, waitMs },
      `The lock on ${quote(key)} was not free within ${waitMs} ms. Wait longer with waitMs, or try again later.`,
    );
  }
}

/** A queue has as many ready jobs as the maxDepth of the producer allows. */
export class QueueFullError extends HarkError {
  /** When it is worth trying again, in ms. */
  readonly retryAfterMs = 1_000;

  constructor(queue: string, depth: number, limit: number) {
    super(
      "QUEUE_FULL",
      { queue, depth, limit },
      `The queue ${queue} is full: ${depth} ready jobs wait, and its limit is ${limit}. Nothing was written. Try again in a ` +
        `while, add workers, or raise maxDepth.`,
    );
  }
}

/** An insert had no answer in time: its jobs may have been written or not. */
export class EnqueueTimeoutError extends HarkError {
  constructor(deadlineMs: number) {
    super(
      "ENQUEUE_TIMEOUT",
      { deadlineMs },
      `PostgreSQL did not answer an insert within ${deadlineMs} ms, so nobody can know whether the job was written: ` +
        `look for it before you enqueue it again, and see what keeps the pool or the server busy.`,
    );
  }
}

/** enqueueFrom() met a job that it could not insert. `cause` is why. */
export class EnqueueFromError extends HarkError {
  /** `first` and `last`: the jobs at fault, counted from 0; the counts are of the batches before, which were inserted. */
  constructor(progress: { first: number; last: number; inserted: number; duplicates: number }, cause: unknown) {
    const { first, last, inserted, duplicates } = progress;
    super(
      "ENQUEUE_FROM",
      progress,
      `enqueueFrom stopped at job ${first === last ? first : `${first} to ${last}`}, counted from 0: ` +
        `${cause instanceof Error ? cause.message : String(cause)} The batches before it inserted ${inserted} jobs and met ` +
        `${duplicates} duplicates; outside a transaction they stay. Mend the source, and go on behind them.`,
      { cause },
    );
  }
}

/** A producer was used after close(). */
export class ProducerClosedError extends HarkError {
  constructor() {
    super(
      "PRODUCER_CLOSED",
      {},
      "The producer is closed: nothing was written. Enqueue before close(), or make another with createProducer().",
    );
  }
}

/** PostgreSQL could not be reached. */
export class DatabaseUnreachableError extends HarkError {
  constructor(where: string, cause: unknown) {
    super(
      "DATABASE_UNREACHABLE",
      { where },
      `No PostgreSQL answered at ${where} (${cause instanceof Error ? cause.message || codeOf(cause) : String(cause)}). Check that it runs and that ` +
        `the connection string is right.`,
      { cause },
    );
  }
}

/** The schema of the database does not fit this version of the code. */
export class SchemaVersionError extends HarkError {
  /**
   * `found` is the schema's version, null if there is none, and `wanted` this code's. `oldestCode`: the oldest code that the schema
   * lets in, if this is older. `changed`: the applied migration that differs from this code's.
   */
  constructor(facts: { found: number | null; wanted: number; oldestCode?: number; changed?: string }) {
    const { found, wanted, oldestCode, changed } = facts;
    super(
      "SCHEMA_VERSION",
      facts,
      changed !== undefined
        ? `Migration ${changed} differs from what was applied to this database. Restore the file as it was applied, and put ` +
            `the change into a new migration. Nothing was changed.`
        : found === null
          ? `The database has no Hark schema. Run "hark migrate" first.`
          : oldestCode === undefined
            ? `The database's Hark schema is at version ${found}, this code needs ${wanted}. Run "hark migrate".`
            : `The database's Hark schema is at version ${found}, newer than the ${wanted} this code knows, and lets in code from ` +
              `version ${oldestCode} on. Update Hark here.`,
    );
  }
}

/** A migration could not get a lock in time. */
export class MigrationBlockedError extends HarkError {
  constructor(waitMs: number, cause: unknown) {
    super(
      "MIGRATION_BLOCKED",
      { waitMs },
      `For ${waitMs} ms somebody held what the migration needs to lock: a table, or the lock under which migrations run. Nothing ` +
        `was changed, and nobody was held up. Look for a long transaction in pg_stat_activity, end it or wait for it, and try again.`,
      { cause },
    );
  }
}

/** The login may not create roles, or does not own the schema. */
export class RolesForbiddenError extends HarkError {
  constructor(cause: Error) {
    super(
      "ROLES_FORBIDDEN",
      {},
      `The roles were not made: ${cause.message}. It takes the owner of the schema "hark", with CREATEROLE while a role is ` +
        `missing. "hark migrate --roles --sql" prints the script for an administrator. Nothing was changed.`,
      { cause },
    );
  }
}

/** Thrown by a handler: straight to the dead letters, no matter how many attempts are left. */
export class UnrecoverableError extends HarkError {
  constructor(message: string, options?: ErrorOptions) {
    super("UNRECOVERABLE", {}, message, options);
  }
}

/** Thrown by a handler: an error whose next attempt comes after `delayMs` instead of the backoff. */
export class RetryAfterError extends HarkError {
  readonly delayMs: number;

  constructor(delayMs: number, message = `asked to retry after ${delayMs} ms`, options?: ErrorOptions) {
    super("RETRY_AFTER", { delayMs }, message, options);
    this.delayMs = delayMs;
  }
}

/** Thrown by a handler: run again after `delayMs`; no error, and the attempt does not count. */
export class SnoozeError extends HarkError {
  readonly delayMs: number;

  constructor(delayMs: number) {
    super("SNOOZED", { delayMs }, `snoozed for ${delayMs} ms`);
    this.delayMs = delayMs;
  }
}

const issueText = ({ message, path }: Issue) => (path.length ? `${path.join(".")}: ${message}` : message);

/** As a person would read it, cut short: bad names may be megabytes long or no string at all. */
function quote(value: unknown): string {
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}

function codeOf(error: Error): string {
  return "code" in error && typeof error.code === "string" ? error.code : error.name;
}
