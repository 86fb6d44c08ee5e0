import { defineJob, InvalidPayloadError, type JobDefinition } from "@hark/core";
import { implement, schedule } from "@hark/worker";
import * as v from "valibot";
import { expect } from "vitest";
import { z } from "zod";
import { eventually } from "../support/eventually.ts";
import { test } from "../support/fixtures.ts";

/*
 * A payload that enqueue accepts is one that the worker accepts: both check the value that JSON
 * gives back.
 */

/** A schema, what is enqueued, and what the handler gets. */
const accepted: [name: string, schema: any, given: unknown, handed: unknown][] = [
  ["z.void()", z.void(), undefined, undefined],
  ["z.undefined()", z.undefined(), undefined, undefined],
  ["z.never().optional()", z.never().optional(), undefined, undefined],
  ["an optional object", z.object({ url: z.string() }).optional(), undefined, undefined],
  ["a default", z.object({ url: z.string() }).default({ url: "home" }), undefined, { url: "home" }],
  ["a prefault", z.string().trim().prefault(" x "), undefined, "x"],
  ["a default of valibot", v.optional(v.object({ n: v.number() }), { n: 1 }), undefined, { n: 1 }],
  ["v.void()", v.void(), undefined, undefined],
  ["no schema", undefined, undefined, null],
  ["z.null()", z.null(), null, null],
  ["a nullable text", z.string().nullable(), null, null],
  ["a text that is nullable and has a default", z.string().nullable().default("x"), null, null],
  [
    "a property that is undefined",
    z.object({ a: z.string().optional(), b: z.number() }),
    { a: undefined, b: 1 },
    { b: 1 },
  ],
  ["a property with a default", z.object({ a: z.string().default("x") }), { a: undefined }, { a: "x" }],
  ["minus zero", z.object({ n: z.number() }), { n: -0 }, { n: 0 }],
  ["a transform", z.string().transform((text) => text.length), "four", 4],
  [
    "an asynchronous default",
    z
      .string()
      .default("x")
      .refine(async () => true),
    undefined,
    "x",
  ],
  [
    "a date as text",
    z.object({ at: z.coerce.date() }),
    { at: "2030-01-01T00:00:00Z" },
    { at: new Date("2030-01-01T00:00:00Z") },
  ],
];

test.for(accepted)(
  "what enqueue accepts for %s reaches the handler",
  { tags: ["FM-65"] },
  async ([, payload, given, handed], { db, producer, queue, startWorker }) => {
    const job = defineJob("test.undefined", { queue, payload, retry: { attempts: 1 } }) as JobDefinition;
    const got: unknown[] = [];
    await startWorker([implement(job, ({ payload: value }) => void got.push(value))]);
    await producer.enqueue(job, given);
    await producer.enqueueMany([{ job, payload: given }]);
    await db.transaction((tx) => producer.in(tx).enqueue(job, given));

    await eventually(() => got.length === 3, { withinMs: 20_000 });
    expect(got).toEqual([handed, handed, handed]);
    const { rows } = await db.pool.query("select error from hark.dead_jobs where queue = $1", [queue]);
    expect(rows).toEqual([]);
  },
);

test.for<[name: string, schema: any, given: unknown]>([
  ["a date", z.object({ at: z.coerce.date() }), { at: new Date(0) }],
  ["a date alone", z.coerce.date(), new Date(0)],
  ["not a number", z.nan(), Number.NaN],
  ["undefined in a list", z.array(z.number().optional()), [1, undefined]],
  ["a value with toJSON", z.any(), { toJSON: () => "text" }],
  ["a bigint", z.bigint(), 1n],
  ["undefined where a text is needed", z.string(), undefined],
  ["an optional property that JSON gives back as null", z.object({ a: z.string().optional() }), { a: null }],
])(
  "%s is refused when the job is enqueued or scheduled",
  { tags: ["FM-65"] },
  async ([, payload, given], { db, producer, queue }) => {
    const job = defineJob("test.undefined", { queue, payload }) as JobDefinition;
    await expect(producer.enqueue(job, given)).rejects.toBeInstanceOf(InvalidPayloadError);
    await expect(producer.enqueueMany([{ job, payload: given }])).rejects.toBeInstanceOf(InvalidPayloadError);
    expect(() => schedule(job, "0 0 * * *", { payload: given })).toThrow(InvalidPayloadError);
    expect((await db.pool.query("select from hark.jobs where queue = $1", [queue])).rowCount).toBe(0);
  },
);

test("a schedule without a payload fires jobs that run", { tags: ["FM-65"] }, async ({ db, queue, startWorker }) => {
  const job = defineJob("test.scheduled", { queue, payload: z.object({ n: z.number() }).default({ n: 1 }) });
  const got: unknown[] = [];
  const every = schedule(job, { every: "1s" }, { name: `s-${queue}` } as never);
  await startWorker([implement(job, ({ payload: value }) => void got.push(value))], { schedules: [every] });
  await eventually(() => got.length > 1, { withinMs: 20_000 });
  expect(got).toContainEqual({ n: 1 });
  expect((await db.pool.query("select from hark.dead_jobs where queue = $1", [queue])).rowCount).toBe(0);
});

test("keys are made of the payload as the worker will see it", { tags: ["FM-65"] }, async ({ db, producer, queue }) => {
  const job = defineJob("test.keys", { queue, key: (payload) => String((payload as { n: number | null } | null)?.n) });
  await producer.enqueue(job, { n: -0 });
  await producer.enqueue(job, undefined);
  const { rows } = await db.pool.query("select key from hark.jobs where queue = $1 order by id", [queue]);
  expect(rows).toEqual([{ key: "0" }, { key: "undefined" }]);
});
