import {
  borrowPool,
  cancelJob,
  createLocks,
  createPayloadCipher,
  createRoles,
  defineJob,
  deleteDeadJob,
  getJob,
  type HarkError,
  listDeadJobs,
  migrate,
  openDatabase,
  pruneDeadJobs,
  removeSchedule,
  requeueDeadJob,
  silentLogger,
} from "@hark/core";
import { createServer, JobManager, startServer } from "@hark/job-manager";
import { createProducer } from "@hark/producer";
import { createWorker, implement, runUntilSignalled, schedule } from "@hark/worker";
import { expect } from "vitest";
import { z } from "zod";
import { test } from "../support/fixtures.ts";

/*
 * An option that is ignored silently is a setting that nobody chose. Each public function refuses
 * what it does not know, and says what was perhaps meant.
 */

const job = defineJob("test.options");
const here = "postgres://127.0.0.1:1/none";
const pool = { query() {}, connect() {}, on() {}, off() {} };

/** A call with options of any type, as from JavaScript. */
const call =
  <Given extends unknown[]>(work: (...given: Given) => unknown) =>
  (...given: unknown[]) =>
  () =>
    work(...(given as Given));
const define = call(defineJob as (...given: unknown[]) => unknown);
const produce = call(createProducer);

const worker = (options: object) =>
  call(createWorker)({ connectionString: here, handlers: [implement(job, () => {})], ...options });
const manage = (options: object) =>
  new JobManager(typeof options === "object" ? { connectionString: here, ...options } : options);
const noLogger = { debug: 1, info: 1, warn: 1, error: 1, child: 1 };

/** Options of a server, each refused by createServer() and by startServer(). */
const servers = Object.entries<[options: unknown, message: RegExp]>({
  "of nothing": [undefined, /must be an object with options, not undefined/],
  "without a database": [{ connectionString: undefined }, /is missing: give connectionString, pool or database/],
  "on two databases": [{ pool }, /give one of pool, connectionString, not more/],
  "with a mistyped token": [{ tokn: "x" }, /tokn: is not an option of .*Did you mean token\?/],
  "with a token that is null": [{ token: null }, /token: must be text without NUL, not null/],
  "with a token that is a number": [{ token: 5 }, /token: must be text/],
  "with tokens by name": [{ tokens: { a: "x" } }, /tokens: must be an array/],
  "with tokens that are text": [{ tokens: ["x".repeat(32)] }, /tokens\.0: must be an object with options/],
  "with a mistyped scope of a token": [
    { tokens: [{ name: "a", token: "x".repeat(32), scope: ["read"] }] },
    /tokens\.0\.scope: .*Did you mean scopes\?/,
  ],
  "with a scope that is text": [
    { tokens: [{ name: "a", token: "x".repeat(32), scopes: "read" }] },
    /tokens\.0\.scopes: must be an array of texts/,
  ],
  "with a token that ends at a text": [
    { tokens: [{ name: "a", token: "x".repeat(32), scopes: ["read"], expiresAt: "2020-01-01" }] },
    /expiresAt: must be a Date/,
  ],
  "with a token and its hash": [
    { tokens: [{ name: "a", token: "x".repeat(32), sha256: "a".repeat(64), scopes: ["read"] }] },
    /tokens\.0: must have a name, scopes, and either token or sha256/,
  ],
  "with authorize that is true": [{ authorize: true }, /authorize: must be a function, not true/],
  "with a host that is allowed as text": [{ allowedHosts: "shop.example" }, /allowedHosts: must be an array of texts/],
  "with a size that is text": [{ maxBodyBytes: "1mb" }, /maxBodyBytes: must be a whole number/],
  "with a size that is no number": [{ maxBodyBytes: Number.NaN }, /maxBodyBytes: must be a whole number/],
  "with a limit that is null": [{ rateLimit: null }, /must be an object with options, not null/],
  "with a mistyped limit": [{ rateLimit: { perSeconds: 5 } }, /rateLimit\.perSeconds: .*Did you mean perSecond\?/],
  "with a limit of nothing": [{ rateLimit: {} }, /rateLimit\.perSecond: is missing/],
  "with routes that are none": [{ routes: {} }, /routes: must be an array/],
  "with a logger that is none": [{ logger: {} }, /logger: must have debug/],
  "with an option of a worker": [{ concurrency: 5 }, /concurrency: is not an option of/],
  "with openTypes that is text": [{ openTypes: "no" }, /openTypes: must be true or false/],
}).flatMap(([name, [given, message]]) => {
  const options: unknown = given === undefined ? undefined : { connectionString: here, ...(given as object) };
  return [createServer, startServer].map((start): [string, () => unknown, RegExp] => [
    `${start.name} ${name}`,
    call(start as (...all: unknown[]) => unknown)(options),
    message,
  ]);
});

test.for<[name: string, work: () => unknown, message: RegExp]>([
  [
    "maxAttempts of a job type",
    define("a", { maxAttempts: 7 }),
    /maxAttempts: is not an option of defineJob\. The options/,
  ],
  ["a job type's option in other letters", define("a", { UniqueKey: String }), /Did you mean uniqueKey\?/],
  ["a mistyped option", define("a", { prioriti: 1 }), /prioriti: .*Did you mean priority\?/],
  [
    "attempts of a retry",
    define("a", { retry: { attempt: 3 } }),
    /attempt: is not an option of defineJob's retry\. Did you mean attempts\?/,
  ],
  ["a retry that is a number", define("a", { retry: 3 }), /retry: must be an object, not 3/],
  ["a backoff's option", define("a", { retry: { backoff: { max: "1h" } } }), /max: is not an option of backoff/],
  ["a backoff that is a text", define("a", { retry: { backoff: "1s" } }), /backoff: must be an object, not a text/],
  ["a factor that is text", define("a", { retry: { backoff: { factor: "2" } } }), /factor: must be between 1 and 1000/],
  ["a factor that is null", define("a", { retry: { backoff: { factor: null } } }), /factor: must be between/],
  ["a jitter that is true", define("a", { retry: { backoff: { jitter: true } } }), /jitter: must be between/],
  ["attempts that are text", define("a", { retry: { attempts: "3" } }), /attempts: must be an integer/],
  ["attempts that are null", define("a", { retry: { attempts: null } }), /attempts: must be an integer/],
  ["a priority that is null", define("a", { priority: null }), /priority: must be an integer/],
  ["a timeout that is null", define("a", { timeout: null }), /timeout.*null is no duration/],
  [
    "a schema that is a shape",
    define("a", { payload: { url: "string" } }),
    /payload: must be a Standard Schema.*not a object/,
  ],
  [
    "a schema of an old library",
    define("a", { payload: { parse() {}, "~standard": {} } }),
    /payload: must be a Standard Schema/,
  ],
  ["a result that is a class", define("a", { result: Map }), /result: must be a Standard Schema/],
  ["a schema that is null", define("a", { payload: null }), /payload: must be a Standard Schema.*not null/],
  ["a key that is a text", define("a", { key: "id" }), /key: must be a function, not a text/],
  ["options that are a queue", define("a", "mail"), /must be an object with options, not a text/],
  ["options that are null", define("a", null), /must be an object with options, not null/],
  ["a queue that is null", define("a", { queue: null }), /null cannot name a queue/],
  ["a name with a NUL", define("a\0b"), /cannot name a job type/],
  [
    "a producer's URL that is undefined",
    produce({ connectionString: undefined }),
    /connectionString: is missing: give connectionString, pool or/,
  ],
  ["a producer's pool that is undefined", produce({ pool: undefined }), /pool: is missing/],
  ["a producer without options", produce({}), /is missing: give connectionString, pool or database/],
  ["a producer of nothing", produce(), /must be an object with options, not undefined/],
  ["a producer's URL alone", produce(here), /must be an object with options/],
  [
    "a URL that is empty",
    produce({ connectionString: "" }),
    /connectionString: must be text without NUL, not an empty text/,
  ],
  ["a URL that is null", produce({ connectionString: null }), /connectionString: must be text/],
  [
    "a producer's database and pool",
    produce({ pool, connectionString: here }),
    /give one of pool, connectionString, not more/,
  ],
  ["a pool that is an address", produce({ pool: here }), /pool: must be a pool of pg, not a text/],
  [
    "connections of a pool of others",
    produce({ pool, maxConnections: 3 }),
    /maxConnections: is not an option of createProducer with pool/,
  ],
  [
    "connections that are text",
    produce({ connectionString: here, maxConnections: "3" }),
    /maxConnections: must be an integer/,
  ],
  [
    "a mistyped option of a producer",
    produce({ connectionString: here, maxConnection: 3 }),
    /Did you mean maxConnections\?/,
  ],
  [
    "isPooled that is text",
    produce({ connectionString: here, isPooled: "false" }),
    /isPooled: must be true or false, not a text/,
  ],
  ["a depth that is text", produce({ connectionString: here, maxDepth: "10" }), /maxDepth/],
  ["a depth that is null", produce({ connectionString: here, maxDepth: null }), /maxDepth/],
  [
    "a cipher that is a key",
    produce({ connectionString: here, cipher: "x".repeat(32) }),
    /cipher: must be made by createPayloadCipher/,
  ],
  [
    "an option of a cipher",
    call(createPayloadCipher)({ keys: {}, current: "a", algorithm: "x" }),
    /algorithm: is not an option of createPayloadCipher/,
  ],
  [
    "an option of a schedule",
    call(schedule as never)(job, "0 0 * * *", { timezone: "UTC" }),
    /timezone: is not an option of schedule/,
  ],
  ["an option of locks", call(createLocks)({ db: pool, ttl: 5 }), /ttl: is not an option of createLocks/],
  ["locks without a database", call(createLocks)({ owner: "me" }), /db: must have query\(\)/],
  ["an option of migrate", call(migrate)({ connectionString: here, wait: 5 }), /wait: is not an option of migrate/],
  ["an address in place of options", call(migrate)("postgres://u:s3cret@host/db"), /^(?!.*s3cret).*not a text/],
  [
    "an option of createRoles",
    call(createRoles)({ connectionString: here, wait: 5 }),
    /wait: is not an option of create/,
  ],
  ["roles of nothing", call(createRoles)(), /must be an object with options, not undefined/],
  [
    "an option of a database",
    call(openDatabase)({ connectionString: here, max: 5 }),
    /max: is not an option of openDat/,
  ],
  ["a database of nothing", call(openDatabase)(), /must be an object with options, not undefined/],
  ["a pool that is none", call(borrowPool)(here), /pool: must be a pool of pg, not a text/],
  ["an option of a pool", call(borrowPool)(pool, { pooled: true }), /pooled: is not an option of borrowPool/],
  ["a worker's queues that are null", worker({ queues: null }), /queues: must be a number, or numbers by queue/],
  ["a worker's name that is empty", worker({ name: "" }), /name: must be text of 1 to 200 characters/],
  ["a worker's mistyped option", worker({ drainTimeot: 5 }), /drainTimeot: .*Did you mean drainTimeout\?/],
  ["a JobManager's options that are text", call(manage)(here), /must be an object with options/],
  [
    "a JobManager's logger without functions",
    call(manage)({ logger: { ...noLogger } }),
    /logger: must have the methods/,
  ],
  ["a JobManager's name with a NUL", call(manage)({ name: "a\0b" }), /name: must have 1 to 200 characters/],
  ["what cannot be stopped", call(runUntilSignalled)({}, silentLogger), /stoppable: must have stop\(\)/],
  ...servers,
  ["a wait that is text", call(migrate)({ connectionString: here, waitMs: "5" }), /waitMs: must be milliseconds/],
])("%s is refused", { tags: ["FM-69"] }, async ([, work, message]) => {
  const refusal = await new Promise((resolve) => resolve(work())).catch((error: unknown) => error);
  expect((refusal as HarkError).code).toMatch(/^INVALID_(OPTIONS|NAME)$/);
  expect((refusal as HarkError).message).toMatch(message);
});

test(
  "unknown options of a producer's calls are refused before anything is written",
  { tags: ["FM-69"] },
  async ({ db, producer, queue }) => {
    const { enqueue, enqueueMany, enqueueFrom } = producer as unknown as Record<
      string,
      (...given: unknown[]) => Promise<unknown>
    >;
    const mine = defineJob("test.options", { queue });
    const locks = createLocks({ db });
    for (const [work, message] of [
      [
        () => enqueue!(mine, {}, { attempts: 3 }),
        /attempts: is not an option of enqueue\. Did you mean maxAttempts\?|attempts: is not an option/,
      ],
      [() => enqueue!(mine, {}, { UniqueKey: "a" }), /Did you mean uniqueKey\?/],
      [() => enqueue!(mine, {}, "now"), /must be an object with options, not a text/],
      [() => enqueue!(mine, {}, null), /must be an object with options, not null/],
      [() => enqueue!(mine, {}, { key: null }), /key: must be text/],
      [() => enqueue!(mine, {}, { delay: null }), /no duration/],
      [() => enqueue!(mine, {}, { runAt: null }), /runAt: must be a valid Date/],
      [() => enqueue!(mine, {}, { priority: "1" }), /priority: must be an integer/],
      [() => enqueue!(mine, {}, { maxAttempts: null }), /attempts: must be an integer/],
      [() => enqueueMany!({ job: mine }), /must be an array/],
      [() => enqueueMany!([{ job: mine, payload: 1 }, null]), /must be an object with options, not null/],
      [
        () =>
          enqueueMany!([
            { job: mine, payload: 1 },
            { job: mine, data: 1 },
          ]),
        /data: is not an option of enqueueMany/,
      ],
      [() => enqueueMany!([{ job: mine, payload: 1, options: { at: 1 } }]), /at: is not an option of enqueue/],
      [() => enqueueFrom!([{ job: mine, payload: 1, delay: 1 }]), /delay: is not an option of enqueueFrom/],
      [
        () => enqueueFrom!([], { batch: 1 }),
        /batch: is not an option of enqueueFrom\. Did you mean batchSize\?|batch: is not an option/,
      ],
      [() => enqueueFrom!(7), /source: must be an iterable/],
      [() => listDeadJobs(db, { offset: 1 } as never), /offset: is not an option of listDeadJobs/],
      [() => listDeadJobs(db, { type: "a\0b" }), /type: must be text without NUL/],
      [() => pruneDeadJobs(db, { olderThan: 0, types: ["a"] } as never), /types: is not .*Did you mean type\?/],
      ...[undefined, null, "abc", 1.5, Number.NaN, -1n, 2n ** 64n, {}, "1\0"].flatMap((id) =>
        [cancelJob, getJob, deleteDeadJob, requeueDeadJob].map(
          (ask) => [() => ask(db, id as never), /id: must be a job's id such as 7n, not/] as const,
        ),
      ),
      [() => removeSchedule(db, undefined as never), /name: must be text without NUL/],
      [() => removeSchedule(db, "a\0b"), /name: must be text without NUL/],
      [() => getJob(db, 1n, { payload: false } as never), /payload: is not an option of getJob/],
      [() => locks.acquire("k", { ttlMs: 1_000, wait: 5 } as never), /wait: is not an option of acquire/],
      [() => locks.acquire("k", { ttlMs: "1000" } as never), /ttlMs: must be/],
      [() => locks.acquire("k", undefined as never), /must be an object with options/],
    ] as const)
      await expect((async () => work())(), String(work)).rejects.toThrow(message);
    expect((await db.pool.query("select from hark.jobs where queue = $1", [queue])).rowCount).toBe(0);
  },
);

test("an option that is undefined is one that is not given", async ({ db }) => {
  const nothing = { pool: undefined, connectionString: undefined, another: undefined } as object;
  await createProducer({ ...nothing, database: db }).close();
  await createServer({ ...nothing, database: db, token: undefined, logger: silentLogger }).close();
  await createServer({ connectionString: here, database: undefined, logger: silentLogger }).close();
  expect(await getJob(db, "1" as never)).toBeUndefined();
});

test("schemas of functions and options that are undefined are taken", () => {
  const schema = Object.assign(() => {}, { "~standard": z.string()["~standard"] });
  expect(
    defineJob("a", { payload: schema as never, queue: undefined as never, retry: undefined as never }),
  ).toMatchObject({ queue: "default" });
});
