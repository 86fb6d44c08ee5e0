import { InvalidOptionsError, type JobDefinition, type PayloadCipher, UnknownJobTypeError } from "@hark/core";
import { createProducer, type MaxDepth, type Producer } from "@hark/producer";
import { answerFailure, changeDeadlineMs, needs, readBody, readQuery, type Routes, within } from "@hark/server/routes";
import { z } from "zod";
import { isJobId } from "../check.ts";
import { deadLetters, mostListed, requeue } from "../dead-letters.ts";
import { defineUrlJob, metadataSchema, targetUrlSchema, urlJobs } from "../define-url-job.ts";
import { deadLetter } from "./dead-letters.ts";
import { queueStats } from "./queue-stats.ts";
import type { Runtime } from "./runtime.ts";

export interface UrlJobRoutesOptions {
  /** Job types that POST /api/queue/jobs may enqueue. Default: the three types of URL jobs. */
  jobs?: readonly JobDefinition[];
  /** Also accepts every other type, as a URL job with the defaults. Default: false. */
  openTypes?: boolean;
  /** The producer that enqueues. Default: one on the same database. */
  producer?: Producer;
  /**
   * Most ready jobs in a queue. Beyond it, jobs are refused with 429. Default: no limit. With
   * `producer`, set it there.
   */
  maxDepth?: MaxDepth;
  /** Encrypts the payloads of enqueued jobs. With `producer`, set it there. */
  cipher?: PayloadCipher;
  /**
   * The part that runs jobs in this process. Default: the workers' leases in the database decide.
   */
  runtime?: Runtime;
  /**
   * Keeps payloads out of every response, and does not read them. Needed if the server's database
   * role is hark_reader (SEC-23).
   */
  hidePayloads?: boolean;
}

const newJob = z.strictObject({
  type: z.string(),
  target_url: targetUrlSchema,
  priority: z.int32().optional(),
  metadata: metadataSchema.default({}),
});

const noQuery = z.strictObject({});
const listQuery = z.strictObject({
  limit: z
    .string()
    .regex(/^[1-9]\d{0,2}$/, { error: `must be an integer from 1 to ${mostListed}`, abort: true })
    .transform(Number)
    .pipe(z.int().max(mostListed))
    .default(100),
});

/** Names a dead letter, by exactly one of the two. */
const deadLetterChoice = z
  .strictObject({
    index: z.int32().nonnegative().optional(),
    id: z.string().refine(isJobId, { error: "must be a job's id, as text" }).optional(),
  })
  .refine(({ index, id }) => (index === undefined) !== (id === undefined), {
    error: "give either index or id, not both",
  });

/**
 * Builds the four endpoints of the URL job API, under /api/queue.
 * @throws InvalidOptionsError if two jobs have one type
 */
export function urlJobRoutes(options: UrlJobRoutesOptions = {}): Routes {
  const { openTypes = false, hidePayloads = false, runtime, maxDepth, cipher } = options;
  const jobs = jobsByType(options.jobs ?? urlJobs);

  const add: Routes["add"] = (group, { database, logger, maxBodyBytes }) => {
    const producer = options.producer ?? createProducer({ database, maxDepth, cipher });

    // Enqueues a URL job: `{ type, target_url, priority?, metadata? }`. Its key is the URL.
    group.post("/jobs", needs("enqueue"), async (c) => {
      readQuery(c, noQuery);
      const { type, target_url, metadata, priority } = await readBody(c.req.raw, newJob, maxBodyBytes);
      const job = jobs.get(type) ?? (openTypes ? defineUrlJob(type) : undefined);
      if (!job) throw new UnknownJobTypeError(type, [...jobs.keys()]);

      c.get("access").checkEnqueue(job.queue);
      const request = { key: target_url, ...(priority !== undefined && { priority }) };
      const { id, status } = await within(changeDeadlineMs, producer.enqueue(job, { target_url, metadata }, request));
      const data = { id: String(id), type, target_url, priority: priority ?? job.priority, metadata };
      return c.json({ success: true, data: { ...data, status: status === "inserted" ? "queued" : status } }, 201);
    });

    // Counts jobs, and says whether a worker runs them. Returns 503 with counts of null while the
    // database cannot be reached.
    group.get("/stats", needs("read"), async (c) => {
      readQuery(c, noQuery);
      const { stats, failure, cause } = await queueStats(database, runtime, logger);
      if (!failure) return c.json({ success: true, data: stats });
      const failed = answerFailure(cause, c.req, logger);
      return c.json({ ...((await failed.json()) as object), data: stats }, 503);
    });

    // Lists dead letters, oldest first. `?limit=` is from 1 to 200. Default: 100.
    group.get("/dead-letter", needs("read"), async (c) => {
      const { limit } = readQuery(c, listQuery);
      const dead = await within(changeDeadlineMs, deadLetters(database, { limit, withPayload: !hidePayloads }));
      return c.json({ success: true, data: dead.map(deadLetter), count: dead.length });
    });

    // Makes a dead letter ready again: `{ index }`, its place in the list, or `{ id }`.
    group.post("/dead-letter/requeue", needs("admin"), async (c) => {
      readQuery(c, noQuery);
      const { index, id } = await readBody(c.req.raw, deadLetterChoice, maxBodyBytes);
      const wanted = id === undefined ? { index: index! } : { id };
      const requeued = await within(changeDeadlineMs, requeue(database, wanted));
      const facts = {
        caller: c.get("access").name,
        jobId: requeued.id,
        type: requeued.type,
        from: "dead",
        to: "ready",
      };
      logger.info(facts, "dead letter requeued");
      return c.json({ success: true, data: { ...requeued, status: "requeued" } });
    });
  };
  return { path: "/api/queue", add };
}

function jobsByType(jobs: readonly JobDefinition[]): ReadonlyMap<string, JobDefinition> {
  const byType = new Map<string, JobDefinition>();
  for (const job of jobs) {
    if (byType.has(job.type))
      throw new InvalidOptionsError("createServer", [
        { path: ["jobs"], message: `there are two jobs of the type ${job.type}` },
      ]);
    byType.set(job.type, job);
  }
  return byType;
}
