import { defineJob, type JobDefinition, type JobOptions, limits } from "@hark/core";
import { z } from "zod";

/**
 * An http(s) URL as it was given. Stricter than the URL parser, which drops line breaks and mends
 * what is missing: the text itself is the job's key, and is fetched, shown and logged.
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

/** What a URL job carries; checked when it is enqueued and again before it runs. */
export const urlPayload = z.strictObject({ target_url: targetUrlSchema, metadata: metadataSchema.default({}) });
export type UrlPayload = z.output<typeof urlPayload>;

export type UrlJobOptions = Omit<JobOptions<typeof urlPayload, undefined>, "payload" | "key">;
export type UrlJob<Type extends string = string> = JobDefinition<Type, z.input<typeof urlPayload>, UrlPayload, unknown>;

/**
 * Defines a job type whose payload is a URL and metadata. The URL is also the key: no two jobs of
 * one URL run at once.
 */
export function defineUrlJob<const Type extends string>(type: Type, options: UrlJobOptions = {}): UrlJob<Type> {
  return defineJob(type, { ...options, payload: urlPayload, key: ({ target_url }: UrlPayload) => target_url });
}

/**
 * The three job types of DataShelf, with the defaults of core: 3 attempts, backoff of 1, 2, 4, 8 s.
 */
export const urlJobs = [defineUrlJob("navigation"), defineUrlJob("category"), defineUrlJob("product")] as const;

export type UrlJobType = (typeof urlJobs)[number]["type"];

/**
 * Returns DataShelf's job types with so many attempts, the first included; backoff and the rest are
 * core's defaults.
 */
export function urlJobsWith(retryAttempts: number): readonly UrlJob[] {
  return urlJobs.map(({ type }) => defineUrlJob(type, { retry: { attempts: retryAttempts } }));
}
