export {
  createProducer,
  type EnqueuedJob,
  type EnqueueOptions,
  type Enqueuer,
  type JobRequest,
  type Producer,
  type ProducerOptions,
} from "./producer.ts";
export { defineJob, type Transaction } from "@hark/core";
