import {
  type Database,
  deadJobIdAt,
  type JobDefinition,
  listDeadJobs,
  type Logger,
  requeueDeadJob,
  UnknownJobTypeError,
} from "@hark/core";
import type { Producer } from "@hark/producer";
import { type Context, Hono } from "hono";
import { z } from "zod";
import { changeDeadlineMs, within } from "../deadline.ts";
import { RequestRefusedError } from "../errors.ts";
import { type Env, needs } from "../middleware/access.ts";
import { check, readBody } from "../middleware/body.ts";
import { answerFailure } from "../middleware/errors.ts";
import { defineMissionJob, metadataSchema, targetUrlSchema } from "../mission-jobs.ts";
import type { Runtime } from "../runtime.ts";
import { deadLetter, mostListed } from "./dead-letters.ts";
import { queueStats } from "./queue-stats.ts";

export interface MissionParts {
  readonly database: Database;
  readonly producer: Producer;
  readonly jobs: ReadonlyMap<string, JobDefinition>;
  readonly openTypes: boolean;
  readonly runtime: Runtime | undefined;
  readonly maxBodyBytes: number;
  readonly hidePayloads: boolean;
  readonly logger: Logger;
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

const largestId = 2n ** 63n - 1n;
const jobId = z
  .string()
  .regex(/^[1-9]\d{0,18}$/, { error: "must be a job's id, as text", abort: true })
  .transform(BigInt)
  .refine((id) => id <= largestId, { error: "must be a job's id, as text" });

/** Which dead letter: exactly one of the two. */
const deadLetterChoice = z
  .strictObject({ index: z.int32().nonnegative().optional(), id: jobId.optional() })
  .refine(({ index, id }) => (index === undefined) !== (id === undefined), {
    error: "give either index or id, and only one",
  });

/** The four calls of the mission, in its shapes. They stand under /api/queue. */
export function missionRoutes({
  database,
  producer,
  jobs,
  openTypes,
  runtime,
  maxBodyBytes,
  hidePayloads,
  logger,
}: MissionParts): Hono<Env> {
  const routes = new Hono<Env>();

  // Enqueues a URL job: `{ type, target_url, priority?, metadata? }`. Its key is the URL.
  routes.post("/jobs", needs("enqueue"), async (c) => {
    checkQuery(c, noQuery);
    const { type, target_url, metadata, priority } = await readBody(c.req.raw, newJob, maxBodyBytes);
    const job = jobs.get(type) ?? (openTypes ? defineMissionJob(type) : undefined);
    if (!job) throw new UnknownJobTypeError(type, [...jobs.keys()]);

    c.get("access").checkEnqueue(job.queue);
    const options = { key: target_url, ...(priority !== undefined && { priority }) };
    const { id, status } = await within(changeDeadlineMs, producer.enqueue(job, { target_url, metadata }, options));
    const data = { id: String(id), type, target_url, priority: priority ?? job.priority, metadata };
    return c.json({ success: true, data: { ...data, status: status === "inserted" ? "queued" : status } }, 201);
  });

  // Counts jobs, and says whether anything runs them. 503 with counts of null while the database cannot be asked.
  routes.get("/stats", needs("read"), async (c) => {
    checkQuery(c, noQuery);
    const { stats, failure, cause } = await queueStats(database, runtime, logger);
    if (!failure) return c.json({ success: true, data: stats });
    const failed = answerFailure(cause, c.req, logger);
    return c.json({ ...((await failed.json()) as object), data: stats }, 503);
  });

  // Lists dead letters, oldest first. `?limit=` is from 1 to 200; 100 if not given.
  routes.get("/dead-letter", needs("read"), async (c) => {
    const { limit } = checkQuery(c, listQuery);
    const dead = await within(changeDeadlineMs, listDeadJobs(database, { limit, withPayload: !hidePayloads }));
    return c.json({ success: true, data: dead.map(deadLetter), count: dead.length });
  });

  // Makes a dead letter ready again: `{ index }`, its place in the list, or `{ id }`.
  routes.post("/dead-letter/requeue", needs("admin"), async (c) => {
    checkQuery(c, noQuery);
    const choice = await readBody(c.req.raw, deadLetterChoice, maxBodyBytes);
    const requeued = await within(changeDeadlineMs, requeue(choice));
    const { name: caller } = c.get("access");
    logger.info({ caller, jobId: requeued.id, type: requeued.type, from: "dead", to: "ready" }, "dead letter requeued");
    return c.json({ success: true, data: requeued });
  });

  async function requeue({ index, id }: z.output<typeof deadLetterChoice>) {
    const chosen = id ?? (await deadJobIdAt(database, index!));
    const found = chosen === undefined ? undefined : await requeueDeadJob(database, chosen);
    if (!found) {
      const what = id === undefined ? `no dead letter at index ${index}` : `no dead letter ${id}`;
      throw new RequestRefusedError(
        "DEAD_LETTER_NOT_FOUND",
        `There is ${what}: list them, and requeue by id. Nothing was changed.`,
      );
    }
    if (!found.isRequeued) {
      throw new RequestRefusedError(
        "UNIQUE_KEY_TAKEN",
        `Job ${found.id} stays a dead letter: another unfinished job has its unique key. Requeue it when that one has finished.`,
      );
    }
    return { id: String(found.id), type: found.type, status: "requeued" };
  }

  return routes;
}

/** A parameter that is unknown or given twice is a mistake that would pass unnoticed otherwise. */
function checkQuery<Schema extends z.ZodType>(c: Context, schema: Schema): z.output<Schema> {
  const given = Object.entries(c.req.queries()).map(([name, values]) => [
    name,
    values.length === 1 ? values[0] : values,
  ]);
  return check(schema, Object.fromEntries(given), "INVALID_QUERY", "The query");
}
