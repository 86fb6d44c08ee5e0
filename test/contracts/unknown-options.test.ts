import {
  createLocks,
  createPayloadCipher,
  defineJob,
  getJob,
  type HarkError,
  listDeadJobs,
  migrate,
  pruneDeadJobs,
} from "@hark/core";
import { createProducer } from "@hark/producer";
import { schedule } from "@hark/worker";
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
  ["options that are a queue", define("a", "mail"), /must be an object with options, not "mail"/],
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
      [() => enqueue!(mine, {}, "now"), /must be an object with options, not "now"/],
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
      [() => getJob(db, 1n, { payload: false } as never), /payload: is not an option of getJob/],
      [() => locks.acquire("k", { ttlMs: 1_000, wait: 5 } as never), /wait: is not an option of acquire/],
      [() => locks.acquire("k", { ttlMs: "1000" } as never), /ttlMs: must be/],
      [() => locks.acquire("k", undefined as never), /must be an object with options/],
    ] as const)
      await expect((async () => work())(), String(work)).rejects.toThrow(message);
    expect((await db.pool.query("select from hark.jobs where queue = $1", [queue])).rowCount).toBe(0);
  },
);

test("schemas of functions and options that are undefined are taken", () => {
  const schema = Object.assign(() => {}, { "~standard": z.string()["~standard"] });
  expect(
    defineJob("a", { payload: schema as never, queue: undefined as never, retry: undefined as never }),
  ).toMatchObject({ queue: "default" });
});
