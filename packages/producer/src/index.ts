export type { MaxDepth } from "./depth-limit.ts";
export {
  createProducer,
  type EnqueuedJob,
  type EnqueueOptions,
  type Enqueuer,
  type JobRequest,
  type Producer,
  type ProducerOptions,
} from "./producer.ts";
export type { EnqueuedFrom, EnqueueFromOptions } from "./enqueue-from.ts";
export type { Transaction } from "@hark/core";
export { defineJob } from "@hark/core/internal";
