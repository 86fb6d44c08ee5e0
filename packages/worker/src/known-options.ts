import type { Issue } from "@hark/core";

/**
 * Where an option that createWorker does not have belongs. Ignored silently, it would let a worker
 * run with settings that nobody chose.
 */
const elsewhere: Readonly<Record<string, string>> = {
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
  listenURL: "give listenUrl",
};

/** Returns an issue for each option that is not among the known ones. */
export function unknownOptions(options: object, known: ReadonlySet<string>): Issue[] {
  return Object.entries(options).flatMap(([name, value]) => {
    if (known.has(name) || value === undefined) return [];
    const lower = name.toLowerCase();
    const spelled = [...known].find((each) => each.toLowerCase() === lower);
    const advice = Object.hasOwn(elsewhere, name) ? elsewhere[name] : spelled && `give ${spelled}`;
    const known_ = `known are ${[...known].join(", ")}`;
    return [{ path: [name.slice(0, 80)], message: `is no option of createWorker: ${advice ?? known_}` }];
  });
}
