import { type Database, InvalidOptionsError, type JobDefinition, type PayloadCipher } from "@hark/core";
import { createProducer, type MaxDepth, type Producer } from "@hark/producer";
import {
  type Access,
  answerFailure,
  changeDeadlineMs,
  needs,
  readBody,
  readQuery,
  type Routes,
  SharedRead,
  within,
} from "@hark/server/routes";
import { z } from "zod";
import { dayMs, isJobId, wholeNumber } from "../check.ts";
import { deadLetters, mostListed, prune, remove, requeue } from "../dead-letters.ts";
import { urlJobs } from "../define-url-job.ts";
import { DeadLetterNotFoundError } from "../errors.ts";
import { deadLetter } from "./dead-letters.ts";
import { newJob, requestOf, shownRequest } from "./new-job.ts";
import { queueStats } from "./queue-stats.ts";
import type { Runtime } from "./runtime.ts";

export interface UrlJobRoutesOptions {
  /** Job types that POST /api/queue/jobs may enqueue. Default: the three types of URL jobs. */
  jobs?: readonly JobDefinition[];
  /**
   * Also accepts every other type with the defaults: as a URL job, or with any `payload`. Default:
   * false.
   */
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

/** Dead letters deleted in one request at most, so that it ends in time. */
const mostPruned = 10_000;

const pruneBody = z.strictObject({
  older_than: wholeNumber(0, 100 * 365 * dayMs, "ms"),
  type: z.string().optional(),
});

/**
 * Builds the endpoints of the URL job API, under /api/queue.
 * @throws InvalidOptionsError if two jobs have one type
 */
export function urlJobRoutes(options: UrlJobRoutesOptions = {}): Routes {
  const { openTypes = false, hidePayloads = false, runtime, maxDepth, cipher } = options;
  const jobs = jobsByType(options.jobs ?? urlJobs);

  const add: Routes["add"] = (group, { database, logger, maxBodyBytes }) => {
    const producer = options.producer ?? createProducer({ database, maxDepth, cipher });
    // However many callers ask, the database is asked once at a time for each.
    const stats = new SharedRead(() => queueStats(database, runtime, logger));
    const lists = new Map<number, SharedRead<string>>(); // by limit, as JSON
    const apart = oneByOne();
    const listOf = (limit: number) => {
      const list = lists.get(limit) ?? new SharedRead(() => deadLetterList(database, limit, !hidePayloads));
      lists.set(limit, list);
      return list;
    };

    // Enqueues a job: `{ type, target_url, metadata?, priority?, delay?, unique_key? }`, whose key
    // is the URL, or `{ type, payload, priority?, delay?, unique_key? }` for types of another kind.
    // `delay` is in ms.
    group.post("/jobs", needs("enqueue"), async (c) => {
      readQuery(c, noQuery);
      const body = await readBody(c.req.raw, newJob, maxBodyBytes);
      const { job, payload, options: settings } = requestOf(body, jobs, openTypes);
      c.get("access").checkEnqueue(job.queue);
      const { id, status } = await within(changeDeadlineMs, producer.enqueue(job, payload, settings));
      const facts = { id: String(id), ...shownRequest(body, job) };
      return c.json({ success: true, data: { ...facts, status: status === "inserted" ? "queued" : status } }, 201);
    });

    // Counts jobs, and says whether a worker runs them. Returns 503 with counts of null while the
    // database cannot be reached.
    group.get("/stats", needs("read"), async (c) => {
      readQuery(c, noQuery);
      const { stats: data, failure, cause } = await stats.ask();
      if (!failure) return c.json({ success: true, data });
      const failed = answerFailure(cause, c.req, logger);
      return c.json({ ...((await failed.json()) as object), data }, 503);
    });

    // Lists dead letters, oldest first. `?limit=` is from 1 to 200. Default: 100. Beyond 4 MiB of
    // payloads, metadata is a note of its size.
    group.get("/dead-letter", needs("read"), async (c) => {
      const { limit } = readQuery(c, listQuery);
      const list = await within(changeDeadlineMs, listOf(limit).ask());
      await apart(); // each answer has a copy, and the server bounds those that wait to be read
      return c.body(list, 200, { "content-type": "application/json" });
    });

    // Makes a dead letter ready again: `{ index }`, its place in the list, or `{ id }`.
    group.post("/dead-letter/requeue", needs("admin"), async (c) => {
      readQuery(c, noQuery);
      const { index, id } = await readBody(c.req.raw, deadLetterChoice, maxBodyBytes);
      const wanted = id === undefined ? { index: index! } : { id };
      const requeued = await within(changeDeadlineMs, requeue(database, wanted));
      logger.info(factsOf(c.get("access"), requeued, "ready"), "dead letter requeued");
      return c.json({ success: true, data: { ...requeued, status: "requeued" } });
    });

    // Deletes dead letters for ever, oldest first: `{ older_than, type? }`, the least time since
    // they died, in ms. Deletes at most 10,000: while `isDone` is false, send it again.
    group.post("/dead-letter/prune", needs("admin"), async (c) => {
      readQuery(c, noQuery);
      const { older_than: olderThan, type } = await readBody(c.req.raw, pruneBody, maxBodyBytes);
      const deleted = await within(changeDeadlineMs, prune(database, { olderThan, type }, mostPruned));
      logger.info({ caller: c.get("access").name, olderThan, type, deleted }, "dead letters pruned");
      return c.json({ success: true, data: { deleted, isDone: deleted < mostPruned } });
    });

    // Deletes a dead letter for ever, by the id of its job.
    group.delete("/dead-letter/:id", needs("admin"), async (c) => {
      readQuery(c, noQuery);
      const { id } = c.req.param();
      if (!isJobId(id)) throw new DeadLetterNotFoundError({ id });
      const deleted = await within(changeDeadlineMs, remove(database, { id }));
      logger.info(factsOf(c.get("access"), deleted, "deleted"), "dead letter deleted");
      return c.json({ success: true, data: { ...deleted, status: "deleted" } });
    });
  };
  return { path: "/api/queue", add };
}

/** Resolves for one caller after the other, each in a turn of the event loop of its own. */
function oneByOne(): () => Promise<void> {
  let last: Promise<unknown> = Promise.resolve();
  return async () => void (await (last = last.then(() => new Promise((resolve) => setImmediate(resolve)))));
}

async function deadLetterList(database: Database, limit: number, withPayload: boolean): Promise<string> {
  const dead = await deadLetters(database, { limit, withPayload });
  return JSON.stringify({ success: true, data: dead.map(deadLetter), count: dead.length });
}

/** What the log says about a dead letter that was changed. */
function factsOf(access: Access, { id, type }: { id: string; type: string }, to: "ready" | "deleted") {
  return { caller: access.name, jobId: id, type, from: "dead", to };
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
