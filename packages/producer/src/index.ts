export type { MaxDepth } from "./depth-limit.ts";
export { createProducer } from "./producer.ts";
export type { EnqueuedJob, Enqueuer, Producer } from "./enqueuer.ts";
export type { EnqueuedFrom } from "./enqueue-from.ts";
export type { EnqueueFromOptions, EnqueueOptions, JobRequest, ProducerOptions } from "./options.ts";
export type { Transaction } from "@hark/core";
export { defineJob } from "@hark/core/internal";
