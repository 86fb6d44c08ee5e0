import { InvalidOptionsError } from "./errors/index.ts";
import { checkMaxAttempts, checkPriority, type JobDefinition } from "./job-definition.ts";
import { limits } from "./json.ts";
import { checkName } from "./names.ts";
import type { NewJob } from "./statements/enqueue/insert-jobs.ts";

/** What may be set for one job and is the job type's own otherwise. */
export interface JobSettings {
  /** Higher runs first; the job type's own if not given. */
  priority?: number;
  /** The job type's own if not given. */
  queue?: string;
  /** Attempts in all, from 1 to 1000; the job type's own if not given. */
  maxAttempts?: number;
  /**
   * Jobs of one queue with the same key never run at the same time; the job type's own if not
   * given.
   */
  key?: string;
  /** At most one unfinished job of a queue has this key; the job type's own if not given. */
  uniqueKey?: string;
}

/**
 * A job to insert, but for when it starts: `json` is its payload as payloadJson() returns it, and
 * `parsed` what parsePayload() made of it.
 * @throws InvalidOptionsError, InvalidNameError
 */
export function newJob(
  job: JobDefinition,
  { json, parsed }: { json: string; parsed: unknown },
  settings: JobSettings,
): Omit<NewJob, "runAt" | "delayMs"> {
  return {
    type: job.type,
    queue: settings.queue === undefined ? job.queue : checkName("queue", settings.queue),
    payloadJson: json,
    priority: settings.priority === undefined ? job.priority : checkPriority(settings.priority),
    maxAttempts: settings.maxAttempts === undefined ? job.maxAttempts : checkMaxAttempts(settings.maxAttempts),
    key: checkKey("key", settings.key === undefined ? job.key?.(parsed) : settings.key),
    uniqueKey: checkKey("uniqueKey", settings.uniqueKey === undefined ? job.uniqueKey?.(parsed) : settings.uniqueKey),
  };
}

function checkKey(field: string, key: unknown): string | undefined {
  if (key === undefined) return undefined;
  if (
    typeof key === "string" &&
    key !== "" &&
    Buffer.byteLength(key) <= limits.keyBytes &&
    !key.includes("\0") &&
    key.isWellFormed()
  ) {
    return key;
  }
  const message = `must be text of 1 to ${limits.keyBytes} bytes, without NUL`;
  throw new InvalidOptionsError("enqueue", [{ path: [field], message }]);
}
