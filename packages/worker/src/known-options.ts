import type { OptionKind } from "@hark/core/internal";

/** The options of createWorker. Those of "any" are checked where they are read. */
export const workerOptions = {
  connectionString: "any",
  password: "function",
  listenUrl: "text",
  isPooled: "flag",
  handlers: "any",
  queues: "any",
  schedules: "any",
  name: "any",
  logger: "logger",
  lease: "any",
  pollInterval: "any",
  promoteInterval: "any",
  drainTimeout: "any",
  abortTimeout: "any",
  keepDays: "any",
  cipher: "cipher",
} as const satisfies Readonly<Record<string, OptionKind>>;

/**
 * Where an option that createWorker does not have belongs. Ignored silently, it would let a worker
 * run with settings that nobody chose.
 */
export const elsewhere: Readonly<Record<string, string>> = {
  concurrency: "give queues: a number for every queue, or { email: 10 }",
  maxConcurrency: "give queues: a number for every queue, or { email: 10 }",
  queue: "give queues: { email: 10 }",
  jobs: "give handlers: [implement(job, handler)]",
  pool: "a worker opens its own connections: give connectionString",
  database: "a worker opens its own connections: give connectionString",
  url: "give connectionString",
  databaseUrl: "give connectionString",
  retry: "it belongs to the job type: defineJob(type, { retry: { attempts: 5 } })",
  attempts: "it belongs to the job type: defineJob(type, { retry: { attempts: 5 } })",
  maxAttempts: "it belongs to the job type: defineJob(type, { retry: { attempts: 5 } })",
  backoff: "it belongs to the job type: defineJob(type, { retry: { backoff: { base: '1s' } } })",
  timeout: "it belongs to the job type: defineJob(type, { timeout: '1m' })",
  priority: "it belongs to the job type or to the job",
  migrate: "call migrate() or run `hark migrate` before",
};
