import { defineJob, type JobDefinition, UnknownJobTypeError } from "@hark/core";
import type { JobRequest } from "@hark/producer";
import { z } from "zod";
import { dayMs, wholeNumber } from "../check.ts";
import { defineUrlJob, metadataSchema, targetUrlSchema } from "../define-url-job.ts";

/** The body of POST /api/queue/jobs. A job has a URL or a payload. */
export const newJob = z
  .strictObject({
    type: z.string(),
    target_url: targetUrlSchema.optional(),
    metadata: metadataSchema.optional(),
    payload: z.json().optional(),
    priority: z.int32().optional(),
    delay: wholeNumber(0, 100 * 365 * dayMs, "ms").optional(),
    unique_key: z.string().optional(),
  })
  .superRefine(({ target_url, payload, metadata }, context) => {
    const refuse = (path: string, message: string) => context.addIssue({ code: "custom", path: [path], message });
    if (target_url === undefined && payload === undefined)
      refuse("target_url", "is missing: give target_url or payload");
    if (payload === undefined) return;
    if (target_url !== undefined) refuse("payload", "give either target_url or payload, not both");
    if (metadata !== undefined) refuse("metadata", "belongs to a job with target_url: write it into payload");
  });

export type NewJobBody = z.output<typeof newJob>;

/**
 * Returns what the producer enqueues for a body. With `openTypes`, unknown types have the defaults.
 * @throws UnknownJobTypeError
 */
export function requestOf(
  { type, target_url, metadata = {}, payload, priority, delay, unique_key }: NewJobBody,
  jobs: ReadonlyMap<string, JobDefinition>,
  openTypes: boolean,
): JobRequest & Required<Pick<JobRequest, "options">> {
  const openJob = () => (target_url === undefined ? defineJob(type) : defineUrlJob(type));
  const job = jobs.get(type) ?? (openTypes ? openJob() : undefined);
  if (!job) throw new UnknownJobTypeError(type, [...jobs.keys()]);
  const options = {
    ...(target_url !== undefined && { key: target_url }),
    ...(priority !== undefined && { priority }),
    ...(delay !== undefined && { delay }),
    ...(unique_key !== undefined && { uniqueKey: unique_key }),
  };
  return { job, payload: target_url === undefined ? payload : { target_url, metadata }, options };
}

/** The part of the answer that repeats the request. A payload is not repeated. */
export function shownRequest(body: NewJobBody, job: JobDefinition) {
  const { type, target_url, metadata = {}, priority = job.priority } = body;
  return target_url === undefined ? { type, priority } : { type, target_url, priority, metadata };
}
