import { defineJob, type JobDefinition, type JobOptions } from "@hark/core";
import { limits } from "@hark/core/internal";
import { z } from "zod";

/**
 * An http(s) URL as text. It is stricter than the URL parser, which drops line breaks and adds
 * missing parts, because the text itself is the job's key, and is fetched, shown and logged.
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

/** The payload of a URL job. It is checked when the job is enqueued, and again before it runs. */
export const urlPayload = z.strictObject({ target_url: targetUrlSchema, metadata: metadataSchema.default({}) });
export type UrlPayload = z.output<typeof urlPayload>;

export type UrlJobOptions = Omit<JobOptions<typeof urlPayload, undefined>, "payload" | "key">;
export type UrlJob<Type extends string = string> = JobDefinition<Type, z.input<typeof urlPayload>, UrlPayload, unknown>;

/**
 * Priorities of jobs that name none: what finds more pages comes first. Of any other type it is 0.
 */
const defaultPriorities: Readonly<Record<string, number>> = { navigation: 9, category: 6, product: 3 };

/**
 * Defines a job type whose payload is a URL and metadata. The URL is also the key, so two jobs of
 * one URL never run at the same time. Default priorities: navigation 9, category 6, product 3.
 */
export function defineUrlJob<const Type extends string>(type: Type, options: UrlJobOptions = {}): UrlJob<Type> {
  const priority = Object.hasOwn(defaultPriorities, type) ? { priority: defaultPriorities[type]! } : {};
  return defineJob(type, {
    ...priority,
    ...options,
    payload: urlPayload,
    key: ({ target_url }: UrlPayload) => target_url,
  });
}

/**
 * The three types of URL jobs, with the defaults of core: 3 attempts, backoff of 1, 2, 4, 8 s.
 */
export const urlJobs = [defineUrlJob("navigation"), defineUrlJob("category"), defineUrlJob("product")] as const;

export type UrlJobType = (typeof urlJobs)[number]["type"];

/**
 * Returns the three types of URL jobs with `retryAttempts` attempts, the first included. Backoff
 * and all else are core's defaults.
 */
export function urlJobsWith(retryAttempts: number): readonly UrlJob[] {
  return urlJobs.map(({ type }) => defineUrlJob(type, { retry: { attempts: retryAttempts } }));
}
