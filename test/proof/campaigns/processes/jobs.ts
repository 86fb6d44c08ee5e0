import { type BackoffOptions, defineJob } from "@hark/core";
import { parseBackoff } from "@hark/core/internal";
import { defineUrlJob } from "@hark/job-manager";
import * as v from "valibot";
import type { Does } from "../ledger/entries.ts";

/** What a payload says about its job. URL jobs have it as their metadata. */
export const taskSchema = v.object({
  ref: v.string(),
  does: v.picklist<Does[]>(["sleep", "ignore", "block", "fail", "fatal", "exit", "kill", "snooze", "effect", "probe"]),
  ms: v.optional(v.number(), 0),
  times: v.optional(v.number(), 0),
});
export type Task = v.InferOutput<typeof taskSchema>;

/** Enough for every allowed crash, and for as many failures. */
export const attempts = 6;

const waits = { base: 200, factor: 2, cap: 1_000, jitter: 0.1 } satisfies BackoffOptions;
export const backoff = parseBackoff(waits);
const retry = { attempts, backoff: waits };

/** The queue that all workers share. */
export const queue = "work";
export const work = defineJob("campaign.work", { queue, payload: taskSchema, retry });
/** The same work as a URL job, enqueued over HTTP. Its key is its URL. */
export const page = defineUrlJob("campaign.page", { queue, retry });
/**
 * Reports that it started. Each worker has its own queue for probes, so that no other worker can
 * run them.
 */
export const probe = defineJob("campaign.probe", { payload: taskSchema, retry });
export const probeQueueOf = (worker: string) => `probe-${worker}`;
