import { defineJob, type JobDefinition, type JobOptions, limits } from "@hark/core";
import { z } from "zod";

/**
 * An http(s) URL as it was given. Stricter than the URL parser, which drops line breaks and mends what is missing: the text
 * itself is the job's key, and is fetched, shown and logged.
 */
export const targetUrlSchema = z
  .string()
  .refine((text) => Buffer.byteLength(text) <= limits.keyBytes, {
    error: `must have at most ${limits.keyBytes} bytes`,
    abort: true,
  })
  .refine((text) => /^https?:\/\/[^\p{White_Space}\p{Cc}\p{Cs}\\]+$/iu.test(text) && URL.canParse(text), {
    error: "must be a URL that starts with http:// or https://, without spaces",
  });

export const metadataSchema = z.record(z.string(), z.unknown());

/** What a mission job carries; checked when it is enqueued and again before it runs. */
export const missionPayload = z.strictObject({ target_url: targetUrlSchema, metadata: metadataSchema.default({}) });
export type MissionPayload = z.output<typeof missionPayload>;

export type MissionJobOptions = Omit<JobOptions<typeof missionPayload, undefined>, "payload" | "key">;
export type MissionJob<Type extends string = string> = JobDefinition<
  Type,
  z.input<typeof missionPayload>,
  MissionPayload,
  unknown
>;

/** A job type in the mission's shape: a URL, which is also the key under which no two jobs run at once, and metadata. */
export function defineMissionJob<const Type extends string>(
  type: Type,
  options: MissionJobOptions = {},
): MissionJob<Type> {
  return defineJob(type, { ...options, payload: missionPayload, key: ({ target_url }: MissionPayload) => target_url });
}

/** The mission's three types, with the defaults of core: 3 attempts, backoff of 1, 2, 4, 8 s. */
export const missionJobs = [
  defineMissionJob("navigation"),
  defineMissionJob("category"),
  defineMissionJob("product"),
] as const;
