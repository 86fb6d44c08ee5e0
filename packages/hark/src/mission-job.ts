import { InvalidOptionsError, UnknownJobTypeError } from "@hark/core";
import type { Producer } from "@hark/producer";
import { defineMissionJob, missionJobs, type MissionPayload } from "@hark/server";
import { z } from "zod";
import { check } from "./check.ts";

export type MissionJobType = (typeof missionJobs)[number]["type"];
export type MissionJobDefinition = ReturnType<typeof defineMissionJob>;

/** A job as the mission has it. */
export interface NewMissionJob {
  type: MissionJobType;
  /** An http(s) URL, at most 1024 bytes. Also the job's key: two jobs of one URL never run at the same time. */
  target_url: string;
  /** Higher runs first; 0 if not given. */
  priority?: number | undefined;
  /** Any JSON; job and metadata together are at most 256 KiB. */
  metadata?: Record<string, unknown> | undefined;
  /** Wait this long before the first attempt, in ms. */
  delay?: number | undefined;
  /** At most one unfinished job has this key; adding another answers the first one as "duplicate". */
  unique_key?: string | undefined;
}

export interface AddedJob {
  readonly id: string;
  /** "duplicate": an unfinished job with the same unique key was there already, and `id` is its id. */
  readonly status: "queued" | "duplicate";
}

/** A job in the hands of who runs it. */
export interface MissionJobView {
  readonly id: string;
  readonly type: string;
  readonly target_url: string;
  readonly priority: number;
  readonly metadata: Record<string, unknown>;
  /** Attempts so far, this one included. */
  readonly attempts: number;
  readonly max_attempts: number;
}

/** Answers the mission's job types with so many attempts, the first included; backoff and the rest are core's defaults. */
export function missionJobsWith(retryAttempts: number): readonly MissionJobDefinition[] {
  return missionJobs.map(({ type }) => defineMissionJob(type, { retry: { attempts: retryAttempts } }));
}

// Only the names: the values are checked by the job's own definition and by the producer, with their own errors.
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
 * Checks a job and inserts it; nothing is written if it throws.
 * @throws UnknownJobTypeError, InvalidPayloadError, PayloadTooLargeError, InvalidOptionsError
 */
export async function addMissionJob(
  method: string,
  producer: Producer,
  jobs: readonly MissionJobDefinition[],
  given: NewMissionJob,
): Promise<AddedJob> {
  if (typeof given !== "object" || given === null) {
    throw new InvalidOptionsError(method, [{ path: [], message: "wants an object with type and target_url" }]);
  }
  check(method, request, given);
  const { type, target_url, priority, metadata, delay, unique_key } = given;
  const job = jobs.find((known) => known.type === type);
  if (!job)
    throw new UnknownJobTypeError(
      type,
      jobs.map((known) => known.type),
    );

  const { id, status } = await producer.enqueue(
    job,
    { target_url, ...(metadata !== undefined && { metadata }) },
    {
      ...(priority !== undefined && { priority }),
      ...(delay !== undefined && { delay }),
      ...(unique_key !== undefined && { uniqueKey: unique_key }),
    },
  );
  return { id: String(id), status: status === "inserted" ? "queued" : "duplicate" };
}

export function viewOf(
  job: { id: bigint; type: string; priority: number; attempt: number; maxAttempts: number },
  { target_url, metadata }: MissionPayload,
): MissionJobView {
  const { id, type, priority, attempt, maxAttempts } = job;
  return { id: String(id), type, target_url, priority, metadata, attempts: attempt, max_attempts: maxAttempts };
}
