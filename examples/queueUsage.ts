/**
 * How to set up and use the queue: a JobManager, the three kinds of jobs, errors and retries, and
 * monitoring. Run it with `npm run dev -- examples/queueUsage.ts`. It needs no database of yours;
 * with DATABASE_URL it uses that one.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { JobManager, type Job, type JobResult } from "pg-hark";

// 1. Initialisation. What is not given comes from the environment: DATABASE_URL, SCRAPER_*,
//   JOB_MANAGER_*.
const jobManager = new JobManager({
  concurrency: 3, // jobs at once in this process
  lockTTL: 10 * 60 * 1000, // how long a lock of acquireLock() lasts
  pollInterval: 1000, // how long a lost notification may delay a job
  requestDelay: 100, // between two jobs of one host, over all processes
  retryAttempts: 2, // so that the example ends soon; the default is 3
});
await jobManager.initialize();
console.log("initialised: the database is there, and has the schema");

// 2. Processing. The work is simulated: it takes a moment, and two pages make trouble.
jobManager.setJobProcessor(async (job, queue): Promise<JobResult> => {
  const startedAt = performance.now();
  console.log(`processing ${job.type} job: ${job.target_url} (attempt ${job.attempts} of ${job.max_attempts})`);
  await sleep(50, undefined, { signal: job.signal });
  makeTrouble(job);
  // Two jobs of one URL never run at once. A lock guards what jobs of several URLs share.
  const lock = await queue.acquireLock("the shelf", { ttl: 10_000 });
  if (!lock) throw new Error("the shelf is in use");
  try {
    return { success: true, itemsProcessed: 1, errors: [], duration: performance.now() - startedAt };
  } finally {
    await queue.releaseLock("the shelf", lock);
  }
});
await jobManager.start();

// 3. Jobs of the three types. Without a priority, navigation has 9, category 6, product 3.
const jobId = await jobManager.addJob({
  type: "navigation",
  target_url: "https://books.example/",
  metadata: { shop: "books.example" },
});
console.log(`added a navigation job: ${jobId}`);
const ids = await jobManager.addJobs([
  { type: "category", target_url: "https://books.example/fiction" },
  { type: "category", target_url: "https://books.example/poetry" },
  { type: "product", target_url: "https://books.example/book/1", priority: 5 },
  { type: "product", target_url: "https://books.example/book/busy" },
  { type: "product", target_url: "https://books.example/book/gone" },
]);
console.log(`added ${ids.length} more: ${ids.join(", ")}`);

// 4. Monitoring, until nothing waits or runs any more.
for (;;) {
  const { queued, running, completed, failed } = await jobManager.getStats();
  console.log("queue stats:", { queued, running, completed, failed });
  if (queued + running === 0) break;
  await sleep(500);
}
const health = await jobManager.healthCheck();
console.log(`health: ${health.status}, with a pool of ${health.activeWorkers}`);

// 5. Dead letters: jobs that failed in every attempt. Once mended, they are requeued, or deleted.
const [dead] = await jobManager.getDeadLetterJobs(10);
if (dead) {
  console.log(`dead letter: ${dead.target_url} after ${dead.attempts} attempts: ${dead.last_error}`);
  await jobManager.requeueDeadLetterJob(dead.id); // or by its place in the list, 0
  console.log(`requeued ${dead.id}`);
  while ((await jobManager.getStats()).queued + (await jobManager.getStats()).running > 0) await sleep(200);
  const deleted = await jobManager.pruneDeadLetterJobs({ olderThan: 0, type: "product" });
  console.log(`deleted dead letters: ${deleted}`);
}

await jobManager.stop();
console.log("stopped: running jobs have ended, and all connections are closed");

function makeTrouble({ target_url, attempts }: Job): void {
  if (target_url.endsWith("/busy") && attempts === 1) throw new Error("Network timeout"); // the retry works
  if (target_url.endsWith("/gone")) throw new Error("Network timeout"); // and this one never does
}
