// @module-tag SEC-08
// @module-tag SEC-09
import {
  defineJob,
  type HarkError,
  InvalidNameError,
  InvalidOptionsError,
  InvalidPayloadError,
  type JobDefinition,
  PayloadTooLargeError,
  silentLogger,
  UnknownJobTypeError,
} from "@hark/core";
import type { EnqueueOptions } from "@hark/producer";
import { createWorker, implement } from "@hark/worker";
import { expect } from "vitest";
import * as z from "zod";
import { test } from "../support/fixtures.ts";

const strict = defineJob("test.strict", { payload: z.object({ url: z.url(), tags: z.array(z.string()).optional() }) });
const loose = defineJob("test.loose");
const circle: Record<string, unknown> = {};
circle["again"] = circle;
let deep: unknown = 1;
for (let level = 0; level < 70; level += 1) deep = [deep];

type Refusal = [
  what: string,
  job: unknown,
  payload: unknown,
  options: unknown,
  error: new (...args: never[]) => HarkError,
  says: RegExp,
];
const good = { url: "https://shop.example/" };

/** Bad input of every kind. Nothing is written, and the message says what to do. */
const refusals: Refusal[] = [
  [
    "a job type that is a name",
    "test.strict",
    {},
    {},
    UnknownJobTypeError,
    /no job type "test.strict".*Define it with defineJob/s,
  ],
  ["no job type at all", undefined, {}, {}, UnknownJobTypeError, /no job type undefined/],
  [
    "a payload without a field",
    strict,
    {},
    {},
    InvalidPayloadError,
    /test\.strict was refused: url: .*Correct it and call again/s,
  ],
  [
    "a payload with a wrong field deep inside",
    strict,
    { ...good, tags: ["a", 1] },
    {},
    InvalidPayloadError,
    /tags\.1: /,
  ],
  ["an undefined payload", strict, undefined, {}, InvalidPayloadError, /refused/],
  ["a date", loose, { at: new Date() }, {}, InvalidPayloadError, /at: a Date is no JSON value: convert it first/],
  ["a bigint", loose, { id: 1n }, {}, InvalidPayloadError, /id: a bigint is no JSON value/],
  ["a function", loose, { call: () => 1 }, {}, InvalidPayloadError, /call: a function is no JSON value/],
  ["a symbol", loose, [Symbol("s")], {}, InvalidPayloadError, /0: a symbol is no JSON value/],
  ["a map", loose, { map: new Map() }, {}, InvalidPayloadError, /map: a Map is no JSON value/],
  ["a class instance", loose, new URL("https://shop.example/"), {}, InvalidPayloadError, /a URL is no JSON value/],
  ["not a number", loose, { n: Number.NaN }, {}, InvalidPayloadError, /n: NaN is no JSON number/],
  ["infinity", loose, { n: Number.POSITIVE_INFINITY }, {}, InvalidPayloadError, /n: Infinity is no JSON number/],
  ["a circle", loose, circle, {}, InvalidPayloadError, /nested deeper than 64 levels, or in a circle/],
  ["a value that is nested too deep", loose, deep, {}, InvalidPayloadError, /nested deeper than 64 levels/],
  ["a NUL", loose, { text: "a\0b" }, {}, InvalidPayloadError, /text: has a NUL character/],
  ["a NUL in a name", loose, { "a\0": 1 }, {}, InvalidPayloadError, /its name: has a NUL/],
  ["half a surrogate pair", loose, ["\ud800"], {}, InvalidPayloadError, /0: has half a surrogate pair/],
  [
    "a payload over the limit",
    loose,
    "x".repeat(262_143),
    {},
    PayloadTooLargeError,
    /at least 262145 bytes.*limit of 262144.*enqueue its address/s,
  ],
  ["a payload over the limit by bytes", loose, "ü".repeat(131_072), {}, PayloadTooLargeError, /262146 bytes/],
  ["a queue with capitals", loose, {}, { queue: "Mail" }, InvalidNameError, /"Mail" cannot name a queue: use 1 to 63/],
  ["a queue with a space", loose, {}, { queue: "a b" }, InvalidNameError, /cannot name a queue/],
  ["a queue without a name", loose, {}, { queue: "" }, InvalidNameError, /cannot name a queue/],
  ["a queue's name of 64 bytes", loose, {}, { queue: "q".repeat(64) }, InvalidNameError, /cannot name a queue/],
  [
    "a queue that is SQL",
    loose,
    {},
    { queue: "x'; drop table hark.jobs; --" },
    InvalidNameError,
    /cannot name a queue/,
  ],
  ["a queue that is a number", loose, {}, { queue: 7 }, InvalidNameError, /cannot name a queue/],
  ["an invalid date", loose, {}, { runAt: new Date("soon") }, InvalidOptionsError, /runAt: must be a valid Date/],
  [
    "a date as text",
    loose,
    {},
    { runAt: "2030-01-01" },
    InvalidOptionsError,
    /runAt: must be a valid Date.*2030-01-01/,
  ],
  ["a date too far ahead", loose, {}, { runAt: new Date(8.64e15) }, InvalidOptionsError, /100 years ahead/],
  ["a date before 1970", loose, {}, { runAt: new Date(-1) }, InvalidOptionsError, /from 1970/],
  ["a negative delay", loose, {}, { delay: -1 }, InvalidOptionsError, /-1 is no duration: give milliseconds, or "30s"/],
  ["a delay without a unit", loose, {}, { delay: "5" }, InvalidOptionsError, /no duration/],
  ["an infinite delay", loose, {}, { delay: Number.POSITIVE_INFINITY }, InvalidOptionsError, /no duration/],
  ["a delay of a thousand years", loose, {}, { delay: "365000d" }, InvalidOptionsError, /up to 100 years/],
  [
    "both delay and runAt",
    loose,
    {},
    { delay: 1, runAt: new Date() },
    InvalidOptionsError,
    /either delay or runAt, not both/,
  ],
  [
    "a fractional priority",
    loose,
    {},
    { priority: 1.5 },
    InvalidOptionsError,
    /priority: must be an integer.*not 1\.5/,
  ],
  ["a priority as text", loose, {}, { priority: "1" }, InvalidOptionsError, /priority: must be an integer/],
  ["a priority over the limit", loose, {}, { priority: 2 ** 31 }, InvalidOptionsError, /to 2147483647, not 2147483648/],
  ["no attempts", loose, {}, { maxAttempts: 0 }, InvalidOptionsError, /attempts: must be an integer from 1 to 1000/],
  ["too many attempts", loose, {}, { maxAttempts: 1_001 }, InvalidOptionsError, /from 1 to 1000/],
  ["an empty key", loose, {}, { key: "" }, InvalidOptionsError, /key: must be text of 1 to 1024 bytes/],
  ["a key with a NUL", loose, {}, { key: "a\0" }, InvalidOptionsError, /key: must be text/],
  ["a key over 1024 bytes", loose, {}, { key: "ü".repeat(513) }, InvalidOptionsError, /1 to 1024 bytes/],
  ["a unique key that is a number", loose, {}, { uniqueKey: 1 }, InvalidOptionsError, /uniqueKey: must be text/],
  [
    "an unknown option",
    loose,
    {},
    { delayMs: 5 },
    InvalidOptionsError,
    /delayMs: is not an option of enqueue\. Did you mean delay\? The options are delay, /,
  ],
];

test(
  "every invalid request is rejected with a typed error that says what to do, and nothing is written",
  { tags: ["FM-36", "FM-37", "PLAIN-4"] },
  async ({ db, producer }) => {
    const count = async () =>
      (await db.pool.query("select (select count(*) from hark.jobs) + (select count(*) from hark.unique_keys) as rows"))
        .rows;
    const before = await count();

    for (const [what, job, payload, options, ErrorType, says] of refusals) {
      const attempt = producer.enqueue(job as JobDefinition, payload, options as EnqueueOptions);
      const error = await attempt.then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect(error, what).toBeInstanceOf(ErrorType);
      expect((error as HarkError).message, what).toMatch(says);
      expect((error as HarkError).code, what).toMatch(/^[A-Z_]+$/);
      expect((error as HarkError).message.length, what).toBeLessThan(700); // even if the given value is long
      expect(await count(), what).toEqual(before);
    }
  },
);

test("one invalid job among many rejects them all", async ({ db, producer, queue }) => {
  const attempt = producer.enqueueMany([
    { job: loose, payload: 1, options: { queue } },
    { job: strict, payload: { url: "no url" }, options: { queue } },
    { job: loose, payload: 3, options: { queue } },
  ]);

  await expect(attempt).rejects.toThrow(InvalidPayloadError);
  expect((await db.pool.query("select from hark.jobs where queue = $1", [queue])).rowCount).toBe(0);
});

test("values at the limit are accepted", { tags: ["FM-37"] }, async ({ producer, queue }) => {
  await producer.enqueueMany([
    { job: loose, payload: "x".repeat(262_142), options: { queue } },
    { job: loose, payload: null, options: { queue: "q".repeat(63) } },
    { job: loose, payload: { at: undefined, list: [] }, options: { queue, priority: -(2 ** 31), maxAttempts: 1_000 } },
    {
      job: loose,
      payload: {},
      options: { queue, key: "k".repeat(1_024), uniqueKey: "ü".repeat(512), delay: "36500d" },
    },
    { job: loose, payload: {}, options: { queue, runAt: new Date(0) } },
  ]);
});

const sqlRefusals: [what: string, jobs: string, says: RegExp][] = [
  ["no array", `{"type": "t"}`, /expects a JSON array of jobs, not object/],
  ["no object", `[1]`, /job 1 of the array is no object/],
  ["no type", `[{"type": "t"}, {}]`, /job 2 of the array has no valid type name/],
  ["a wrong type", `[{"type": "T"}]`, /no valid type name: 'T'/],
  ["a wrong queue", `[{"type": "t", "queue": "a b"}]`, /no valid queue name/],
  ["an unknown field", `[{"type": "t", "delay": 5}]`, /unknown field 'delay'/],
  ["two starts", `[{"type": "t", "delay_ms": 5, "run_at": "2030-01-01"}]`, /both run_at and a delay/],
  ["an endless start", `[{"type": "t", "run_at": "infinity"}]`, /run_at not from 1970/],
  ["a negative delay", `[{"type": "t", "delay_ms": -1}]`, /delay not between 0 and 100 years/],
  ["no attempts", `[{"type": "t", "max_attempts": 0}]`, /max_attempts not between 1 and 1000/],
  ["a long key", `[{"type": "t", "key": "${"k".repeat(1_025)}"}]`, /key not of 1 to 1024 bytes/],
  ["a large payload", `[{"type": "t", "payload": "${"x".repeat(262_143)}"}]`, /payload over 262144 bytes/],
  ["a start that is not a date", `[{"type": "t", "run_at": "soon"}]`, /timestamp/],
  ["a fractional priority", `[{"type": "t", "priority": 1.5}]`, /integer/],
];

test("the SQL functions reject the same input, for callers in other languages", { tags: ["FM-37"] }, async ({ db }) => {
  for (const [what, jobs, says] of sqlRefusals) {
    await expect(db.pool.query("select * from hark.enqueue_many($1::jsonb)", [jobs]), what).rejects.toThrow(says);
  }
  await expect(db.pool.query("select hark.enqueue(null, '{}')")).rejects.toThrow(/no valid type name/);
  await expect(db.pool.query("select hark.enqueue('t', '{}', delay => '-1 s')")).rejects.toThrow(/delay not between/);
  await expect(db.pool.query("select hark.enqueue('t', '{}', run_at => now(), delay => '1 s')")).rejects.toThrow(
    /both run_at and a delay/,
  );
  expect((await db.pool.query("select from hark.jobs where type = 't'")).rowCount).toBe(0);
});

test("code, tables and SQL functions agree on the names of queues and job types", async ({ db }) => {
  const names = [
    "a",
    "0",
    "a_.:-9",
    "a".repeat(63),
    "a".repeat(64),
    "",
    "A",
    "a b",
    "_a",
    "-a",
    ".a",
    ":a",
    "a\n",
    "é",
    "a/b",
  ];
  const accepts = async (work: () => unknown) => {
    try {
      await work();
      return true;
    } catch {
      return false;
    }
  };
  const insert = `insert into hark.jobs (queue, type, payload, priority, attempt, max_attempts, crash_count, run_at, created_at, state)
                  values ($1, $2, '{}', 0, 0, 3, 0, now(), now(), 'ready')`;
  const enqueue = "select hark.enqueue($2, '{}', queue => $1)";
  const client = await db.pool.connect();
  try {
    for (const name of names) {
      const isName = await accepts(() => defineJob(name));
      for (const text of [insert, enqueue]) {
        for (const values of [
          [name, "t"],
          ["q", name],
        ]) {
          await client.query("begin");
          expect([text, values, await accepts(() => client.query(text, values))]).toEqual([text, values, isName]);
          await client.query("rollback");
        }
      }
    }
    expect(await accepts(() => defineJob(names[3]!))).toBe(true);
    expect(await accepts(() => defineJob(names[4]!))).toBe(false);
  } finally {
    client.release(true); // in whatever state its transaction is
  }
});

test("an invalid definition is rejected when it is made", () => {
  const wrong: [make: () => unknown, error: new (...args: never[]) => HarkError][] = [
    [() => defineJob("Upper"), InvalidNameError],
    [() => defineJob(""), InvalidNameError],
    [() => defineJob("t", { queue: "a b" }), InvalidNameError],
    [() => defineJob("t", { priority: 0.5 }), InvalidOptionsError],
    [() => defineJob("t", { timeout: -1 }), InvalidOptionsError],
    [() => defineJob("t", { retry: { attempts: 0 } }), InvalidOptionsError],
    [() => defineJob("t", { retry: { backoff: { factor: 0 } } }), InvalidOptionsError],
    [() => defineJob("t", { retry: { backoff: { jitter: 2 } } }), InvalidOptionsError],
  ];
  for (const [make, error] of wrong) expect(make).toThrow(error);
});

test.for<[string, object, RegExp]>([
  ["an option of another library", { concurrency: 1 }, /concurrency: is not an option of createWorker: give queues/],
  ["an option of a job type", { maxAttempts: 7 }, /maxAttempts: .*defineJob/],
  ["a misspelled option", { PollInterval: "1s" }, /PollInterval: .*Did you mean pollInterval/],
  ["an option that nobody has", { colour: "red" }, /colour: .*The options are connectionString/],
  ["a pool", { pool: {} }, /pool: .*connectionString/],
  ["no handlers", { handlers: undefined }, /handlers: must be an array/],
  ["handlers by name", { handlers: { a: () => {} } }, /handlers: must be an array/],
  ["a bare function for a handler", { handlers: [() => {}] }, /handlers\.0: is no handler: make it with implement/],
  ["null for a handler", { handlers: [null] }, /handlers\.0: is no handler/],
  ["a handler without a function", { handlers: [implement(loose, "run" as never)] }, /handlers\.0: has no function/],
  [
    "a handler of a name",
    { handlers: [implement("mail" as never, (() => {}) as never)] },
    /handlers\.0: has no job type/,
  ],
  ["a job type by hand", { handlers: [{ job: { type: "a" }, run() {} }] }, /handlers\.0: .*cannot name a queue/],
  ["a type with a NUL", { handlers: [{ job: { ...loose, type: "a\0b" }, run() {} }] }, /cannot name a job type/],
  ["a job type without backoff", { handlers: [{ job: { ...loose, backoff: undefined }, run() {} }] }, /no backoff/],
  ["a class for a schema", { handlers: [{ job: { ...loose, result: Date }, run() {} }] }, /no Standard Schema/],
  ["a queue with a NUL", { queues: { "a\0b": 1 } }, /queues: .*cannot name a queue/],
  ["a list of queues", { queues: ["default"] }, /queues: must be a number, or numbers by queue/],
  ["text for a number of jobs", { queues: { default: "5" } }, /queues\.default: must be an integer/],
  ["a label with a NUL", { name: "a\0b" }, /name: must be text/],
  ["a schedule by hand", { schedules: [null, "0 9 * * *"] }, /schedules: must be an array of what schedule/],
  ["console.log for a logger", { logger: () => {} }, /logger: must have debug/],
  ["a key for a cipher", { cipher: "secret" }, /cipher: must be made by createPayloadCipher/],
  ["text for isPooled", { isPooled: "yes" }, /isPooled: must be true or false/],
  ["a number for a URL", { listenUrl: 5432 }, /listenUrl: must be text/],
  ["a wrong duration", { lease: "soon" }, /lease/],
])("createWorker refuses %s", ([, options, message], { databaseUrl }) => {
  const create = () =>
    createWorker({
      connectionString: databaseUrl,
      handlers: [implement(loose, () => {})],
      logger: silentLogger,
      ...options,
    });
  expect(create).toThrow(InvalidOptionsError);
  expect(create).toThrow(message);
});

test("a worker without options is refused, and undefined counts as not given", ({ databaseUrl }) => {
  for (const options of [undefined, null, "url"])
    expect(() => createWorker(options as never)).toThrow(InvalidOptionsError);
  const handlers = [implement(loose, () => {})];
  createWorker({ connectionString: databaseUrl, handlers, concurrency: undefined, logger: silentLogger } as never);
});

test("a worker's invalid options are rejected together, each by its name", ({ databaseUrl }) => {
  const handler = implement(loose, () => {});

  expect(() => createWorker({ connectionString: databaseUrl, handlers: [], logger: silentLogger })).toThrow(
    /handlers: is empty/,
  );
  expect(() =>
    createWorker({
      connectionString: "",
      handlers: [handler, handler],
      queues: { default: 0 },
      lease: 10,
      pollInterval: "never" as never,
      keepDays: 0.5,
      logger: silentLogger,
    }),
  ).toThrow(
    /two handlers for test\.loose.*connectionString.*keepDays.*queues\.default.*lease: must be at least 1000.*|pollInterval/s,
  );
});
