import { type BackoffOptions, defineJob, parseBackoff } from "@hark/core";
import { defineUrlJob } from "@hark/job-manager";
import * as v from "valibot";
import type { Does } from "../ledger/entries.ts";

/** What a payload says of its job; URL jobs have it as their metadata. */
export const taskSchema = v.object({
  ref: v.string(),
  does: v.picklist<Does[]>(["sleep", "ignore", "block", "fail", "fatal", "exit", "kill", "snooze", "effect", "probe"]),
  ms: v.optional(v.number(), 0),
  times: v.optional(v.number(), 0),
});
export type Task = v.InferOutput<typeof taskSchema>;

/** Enough for every crash that is allowed, and as many failures. */
export const attempts = 6;

const waits = { base: 200, factor: 2, cap: 1_000, jitter: 0.1 } satisfies BackoffOptions;
export const backoff = parseBackoff(waits);
const retry = { attempts, backoff: waits };

/** The one queue that all workers share. */
export const queue = "work";
export const work = defineJob("campaign.work", { queue, payload: taskSchema, retry });
/** The same work as a URL job, enqueued over HTTP: its key is its URL. */
export const page = defineUrlJob("campaign.page", { queue, retry });
/** Says that it started. Each worker has a queue of its own for it: who else is well says nothing of this worker. */
export const probe = defineJob("campaign.probe", { payload: taskSchema, retry });
export const probeQueueOf = (worker: string) => `probe-${worker}`;
