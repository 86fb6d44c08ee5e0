import { InvalidOptionsError, UnknownJobTypeError } from "@hark/core";
import type { JobRequest, Producer } from "@hark/producer";
import { z } from "zod";
import { check, shown } from "./check.ts";
import type { UrlJob, UrlJobType, UrlPayload } from "./define-url-job.ts";

/** A request to process one URL. */
export interface NewUrlJob {
  /** One of the three types. Text of any other kind is refused when the job is added. */
  type: UrlJobType | (string & {});
  /**
   * An http(s) URL, at most 1024 bytes. It is also the job's key, so two jobs of one URL never run
   * at the same time.
   */
  target_url: string;
  /** Higher runs first. Default: 9 for navigation, 6 for category, 3 for product. */
  priority?: number | undefined;
  /** Any JSON. URL and metadata together are at most 256 KiB. */
  metadata?: Record<string, unknown> | undefined;
  /** Wait this long before the first attempt, in ms. */
  delay?: number | undefined;
  /**
   * At most one unfinished job can have this key. Adding another returns the first one as
   * "duplicate".
   */
  unique_key?: string | undefined;
}

export interface AddedJob {
  readonly id: string;
  /**
   * "duplicate": an unfinished job already has the unique key, and `id` is its id.
   */
  readonly status: "queued" | "duplicate";
}

/** The facts of a job that a processor or caller gets. */
export interface UrlJobView {
  readonly id: string;
  readonly type: string;
  readonly target_url: string;
  readonly priority: number;
  readonly metadata: Record<string, unknown>;
  /** Attempts so far, this one included. */
  readonly attempts: number;
  readonly max_attempts: number;
}

// Checks only the names. The job's definition and the producer check the values, with their own
// errors.
const anything = z.unknown().optional();
const request = z.strictObject({
  type: anything,
  target_url: anything,
  priority: anything,
  metadata: anything,
  delay: anything,
  unique_key: anything,
});

/**
 * Checks a job and inserts it. Nothing is written if it throws.
 * @throws UnknownJobTypeError, InvalidPayloadError, PayloadTooLargeError, InvalidOptionsError
 */
export async function addUrlJob(
  method: string,
  producer: Producer,
  jobs: readonly UrlJob[],
  given: NewUrlJob,
): Promise<AddedJob> {
  const { job, payload, options } = requestOf(method, jobs, given);
  const { id, status } = await producer.enqueue(job, payload, options);
  return { id: String(id), status: status === "inserted" ? "queued" : "duplicate" };
}

/**
 * Checks jobs and inserts them, all or none. Returns their ids in the order given. Throws as
 * addUrlJob() does.
 */
export async function addUrlJobs(
  method: string,
  producer: Producer,
  jobs: readonly UrlJob[],
  given: readonly NewUrlJob[],
): Promise<string[]> {
  if (!Array.isArray(given)) {
    throw new InvalidOptionsError(method, [{ path: [], message: `must be an array of jobs, not ${shown(given)}` }]);
  }
  const added = await producer.enqueueMany(given.map((one) => requestOf(method, jobs, one)));
  return added.map(({ id }) => String(id));
}

function requestOf(method: string, jobs: readonly UrlJob[], given: NewUrlJob): JobRequest<UrlJob> {
  if (typeof given !== "object" || given === null) {
    throw new InvalidOptionsError(method, [{ path: [], message: "must be an object with type and target_url" }]);
  }
  check(method, request, given);
  const { type, target_url, priority, metadata, delay, unique_key } = given;
  const job = jobs.find((known) => known.type === type);
  if (!job)
    throw new UnknownJobTypeError(
      type,
      jobs.map((known) => known.type),
    );
  return {
    job,
    payload: { target_url, ...(metadata !== undefined && { metadata }) },
    options: {
      ...(priority !== undefined && { priority }),
      ...(delay !== undefined && { delay }),
      ...(unique_key !== undefined && { uniqueKey: unique_key }),
    },
  };
}

export function viewOf(
  job: { id: bigint; type: string; priority: number; attempt: number; maxAttempts: number },
  { target_url, metadata }: UrlPayload,
): UrlJobView {
  const { id, type, priority, attempt, maxAttempts } = job;
  return { id: String(id), type, target_url, priority, metadata, attempts: attempt, max_attempts: maxAttempts };
}
