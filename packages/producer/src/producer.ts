import type { Database, Queryable, Issue, JobDefinition, PayloadCipher } from "@hark/core";
// Not from @hark/core itself, which also loads a logger: this package is to load quickly.
import {
  borrowPool,
  checkOptions,
  checkPayload,
  InvalidOptionsError,
  type Login,
  longestDelayMs,
  newJob,
  openDatabase,
  orLate,
  parseDuration,
  ProducerClosedError,
  queryableOf,
  quote,
  type statements,
  UnknownJobTypeError,
} from "@hark/core/internal";
import { Coalescer } from "./coalescer.ts";
import { answered } from "./deadline.ts";
import { DepthLimit } from "./depth-limit.ts";
import { enqueueFrom } from "./enqueue-from.ts";
import type { EnqueuedJob, Enqueuer, Producer } from "./enqueuer.ts";
import { insert } from "./insert.ts";
import { OpenCalls } from "./open-calls.ts";
import {
  checkProducerOptions,
  type EnqueueOptions,
  enqueueOptions,
  type JobRequest,
  type ProducerOptions,
  requestOptions,
} from "./options.ts";

/**
 * Creates a producer. It opens no connection until its first use, and never migrates. It borrows
 * the given pool, or opens its own.
 * @throws InvalidOptionsError for options that are unknown, missing or of the wrong type
 * @throws InvalidOptionsError, InvalidNameError for an invalid maxDepth
 */
export function createProducer(options: ProducerOptions): Producer {
  checkProducerOptions(options);
  const { maxDepth: _, cipher: __, ...login } = options;
  const db: Database =
    "database" in login && login.database !== undefined
      ? login.database
      : "pool" in login && login.pool !== undefined
        ? borrowPool(login.pool, { isPooled: login.isPooled ?? false })
        : openDatabase({ applicationName: "hark producer", ...(login as Login) });
  const depthLimit = options.maxDepth === undefined ? undefined : new DepthLimit(options.maxDepth);
  const coalescer = new Coalescer(db, db.pool?.options?.max ?? 10); // 10 are the default of pg
  const open = new OpenCalls();
  const guards = { depthLimit, cipher: options.cipher };
  const own = enqueuerOn(
    db,
    guards,
    (job) => open.during(job.payloadJson.length, () => coalescer.insert(job)),
    (jobs) => open.during(charactersOf(jobs), () => coalescer.insertMany(jobs)),
  );
  const calls = new Set<Promise<unknown>>();
  let isClosed = false;
  const tracked = async <Answer>(work: () => Promise<Answer>): Promise<Answer> => {
    if (isClosed) throw new ProducerClosedError();
    const call = work();
    calls.add(call);
    try {
      return await call;
    } finally {
      calls.delete(call);
    }
  };
  const close = async () => {
    isClosed = true;
    await orLate(Promise.allSettled(calls), closeDeadlineMs);
    if (!("database" in login && login.database !== undefined)) await db.close();
  };
  return {
    enqueue: (job, payload, given) => tracked(() => own.enqueue(job, payload, given)),
    enqueueMany: (requests) => tracked(() => own.enqueueMany(requests)),
    enqueueFrom: (source, fromOptions) => tracked(() => own.enqueueFrom(source, fromOptions)),
    in(tx) {
      // Inserts at once: later statements of the transaction must see the jobs.
      const queryable = queryableOf(tx);
      return enqueuerOn(
        queryable,
        guards,
        async (job) => (await answered(() => insert(queryable, [job])))[0]!,
        (jobs) => answered(() => insert(queryable, jobs)),
      );
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** How long close() waits for calls, in ms. It is a statement's own deadline. */
const closeDeadlineMs = 10_000;

function enqueuerOn(
  queryable: Queryable,
  { depthLimit, cipher }: { depthLimit: DepthLimit | undefined; cipher: PayloadCipher | undefined },
  insertOne: (job: statements.NewJob) => Promise<EnqueuedJob>,
  insertAll: (jobs: statements.NewJob[]) => Promise<EnqueuedJob[]>,
): Enqueuer {
  const admit = (jobs: statements.NewJob[]) =>
    answered(
      async () => depthLimit?.admit(queryable, jobs),
      () => false,
    );
  const checkRequest = (what: string, request: JobRequest) => {
    checkOptions(what, request, requestOptions);
    return checkJob(request.job, request.payload, request.options, cipher);
  };
  const insertAdmitted = async (jobs: statements.NewJob[]) => {
    if (jobs.length === 0) return [];
    if (depthLimit) await admit(jobs);
    return insertAll(jobs);
  };
  return {
    async enqueue(job, payload, options) {
      const checked = await checkJob(job, payload, options, cipher);
      if (depthLimit) await admit([checked]);
      return insertOne(checked);
    },
    async enqueueMany(requests) {
      const jobs: statements.NewJob[] = [];
      if (!Array.isArray(requests))
        throw new InvalidOptionsError("enqueueMany", [{ path: [], message: "must be an array of { job, payload }" }]);
      for (const request of requests as readonly JobRequest[]) jobs.push(await checkRequest("enqueueMany", request));
      return insertAdmitted(jobs);
    },
    enqueueFrom(source, fromOptions = {}) {
      const check = (request: JobRequest) => checkRequest("enqueueFrom", request);
      return enqueueFrom(source, fromOptions, { check, insert: insertAdmitted });
    },
  };
}

function charactersOf(jobs: readonly statements.NewJob[]): number {
  return jobs.reduce((total, { payloadJson }) => total + payloadJson.length, 0);
}

/** Checks everything about a job, before anything is written. */
async function checkJob(
  job: JobDefinition,
  payload: unknown,
  options: EnqueueOptions = {},
  cipher?: PayloadCipher,
): Promise<statements.NewJob> {
  if (typeof job !== "object" || job === null || typeof job.type !== "string") throw new UnknownJobTypeError(job, []);
  const checked = checkPayload(job, payload);
  const parsed: unknown = await checked.parsed;
  checkOptions("enqueue", options, enqueueOptions);
  const { json } = checked;
  const wanted = newJob(job, { json, parsed }, options);
  return { ...wanted, payloadJson: cipher ? cipher.seal(json, wanted) : json, ...checkStart(options) };
}

/** The last time that both JavaScript and PostgreSQL print with a four-digit year, in epoch ms. */
const lastMoment = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

function checkStart({ runAt, delay }: EnqueueOptions): { runAt: Date | undefined; delayMs: number | undefined } {
  if (delay !== undefined && runAt !== undefined)
    refuse([{ path: ["delay"], message: "give either delay or runAt, not both" }]);
  if (delay !== undefined) return { runAt: undefined, delayMs: parseDuration("delay", delay) };
  if (runAt === undefined) return { runAt: undefined, delayMs: undefined };
  const time = runAt instanceof Date ? runAt.getTime() : Number.NaN;
  if (!(time >= 0 && time <= lastMoment && time <= Date.now() + longestDelayMs)) {
    refuse([{ path: ["runAt"], message: `must be a valid Date from 1970 to 100 years ahead, not ${quote(runAt)}` }]);
  }
  return { runAt, delayMs: undefined };
}

function refuse(issues: Issue[]): never {
  throw new InvalidOptionsError("enqueue", issues);
}
