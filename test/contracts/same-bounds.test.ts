import fc from "fast-check";
import type { PoolClient } from "pg";
// @module-tag SEC-47
import { defineJob, type EnqueueOptions } from "pg-hark";
import { expect } from "vitest";
import { encodeJson } from "../../packages/core/dist/encode-json.js";
import { test } from "../support/fixtures.ts";

/*
 * SEC-47: SQL and the client have the same bounds. The client's checks save a round trip. Those of
 * SQL hold for every language.
 */

const job = defineJob("test.bounds");
const limit = 262_144;

/** Whether `hark.enqueue_many` takes a job, without leaving it there. */
async function sqlTakes(client: PoolClient, fields: object): Promise<boolean> {
  await client.query("begin");
  try {
    await client.query("select from hark.enqueue_many($1)", [JSON.stringify([{ type: "test.bounds", ...fields }])]);
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: expect.stringMatching(/^22/) as string });
    return false;
  } finally {
    await client.query("rollback");
  }
}

function nested(levels: number, inside: unknown): unknown {
  let value = inside;
  for (let level = 0; level < levels; level += 1) value = level % 2 ? [value] : { a: value };
  return value;
}

const numbers = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.constantFrom(1e308, -1e308, 1e-300, 5e-324, -0, 1e21, 1.5e-7, 123456789012345680000),
);
const leaves = fc.oneof(
  numbers,
  fc.string({ unit: "grapheme" }),
  fc.constantFrom("", '"\\\b\f\n\r\t\u0001\u007f', "\u2028é😀", null, true, false),
);
const values = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    leaves,
    fc.array(tie("value"), { maxLength: 5 }),
    fc.dictionary(fc.oneof(fc.string(), fc.constantFrom("", "__proto__", "toJSON", "a b")), tie("value"), {
      maxKeys: 5,
    }),
  ),
})).value;

test("the client counts a payload as PostgreSQL stores it", { timeout: 120_000 }, async ({ db }) => {
  await fc.assert(
    fc.asyncProperty(values, async (value) => {
      const { text, bytes, issues } = encodeJson(value, limit);
      fc.pre(issues.length === 0); // with a NUL
      const { rows } = await db.pool.query("select octet_length($1::jsonb::text) as bytes", [text]);
      expect(bytes).toBe(rows[0].bytes);
    }),
    { numRuns: 500 },
  );
});

test(
  "client and SQL take and refuse the same payloads at the limits",
  { timeout: 120_000 },
  async ({ db, producer, queue }) => {
    const filled = (inside: unknown, over: number) => {
      const { bytes } = encodeJson(["", inside], limit);
      return ["x".repeat(limit - bytes + over), inside];
    };
    const payloads = fc.oneof(
      fc.tuple(fc.integer({ min: 60, max: 70 }), leaves).map(([levels, inside]) => nested(levels, inside)),
      fc
        .tuple(fc.integer({ min: 63, max: 66 }), fc.constantFrom([], {}, [[]], ""))
        .map(([levels, inside]) => nested(levels, inside)),
      fc.tuple(values, fc.constantFrom(-1, 0, 1)).map(([inside, over]) => filled(inside, over)),
      fc.tuple(numbers, fc.integer({ min: -2, max: 2 })).map(([number, more]) => {
        const each = encodeJson(number, limit).bytes + 2;
        return Array.from({ length: Math.floor(limit / each) + more }, () => number);
      }),
    );
    const client = await db.pool.connect();
    const verdicts = { taken: 0, refused: 0 };
    try {
      await fc.assert(
        fc.asyncProperty(payloads, async (payload) => {
          const answer = await producer.enqueue(job, payload, { queue }).catch((error: unknown) => error);
          const isTaken = !(answer instanceof Error);
          if (!isTaken)
            expect(answer).toMatchObject({
              code: expect.stringMatching(/^(INVALID_PAYLOAD|PAYLOAD_TOO_LARGE)$/) as string,
            });
          expect(await sqlTakes(client, { payload })).toBe(isTaken);
          verdicts[isTaken ? "taken" : "refused"] += 1;
        }),
        { numRuns: 150 },
      );
    } finally {
      client.release();
    }
    expect(verdicts.taken).toBeGreaterThan(10);
    expect(verdicts.refused).toBeGreaterThan(10);
  },
);

const years = (count: number) => new Date(Date.now() + count * 31_557_600_000);

test.for<[name: string, fields: object, options: EnqueueOptions]>([
  ["an empty key", { key: "" }, { key: "" }],
  ["an empty unique key", { unique_key: "" }, { uniqueKey: "" }],
  ["a key of 1,024 bytes", { key: "é".repeat(512) }, { key: "é".repeat(512) }],
  ["a key of 1,026 bytes", { key: "é".repeat(513) }, { key: "é".repeat(513) }],
  ["a date in 1969", { run_at: "1969-12-31T23:59:59.999Z" }, { runAt: new Date(-1) }],
  ["the first moment of 1970", { run_at: new Date(0) }, { runAt: new Date(0) }],
  ["a date in 99 years", { run_at: years(99) }, { runAt: years(99) }],
  ["a date in 101 years", { run_at: years(101) }, { runAt: years(101) }],
  ["a delay of 100 years", { delay_ms: 3_155_760_000_000 }, { delay: 3_155_760_000_000 }],
  ["a longer delay", { delay_ms: 3_155_760_000_001 }, { delay: 3_155_760_000_001 }],
  ["a negative delay", { delay_ms: -1 }, { delay: -1 }],
  ["a negative zero of a delay", { delay_ms: -0 }, { delay: -0 }],
  ["1,000 attempts", { max_attempts: 1_000 }, { maxAttempts: 1_000 }],
  ["1,001 attempts", { max_attempts: 1_001 }, { maxAttempts: 1_001 }],
  ["no attempt", { max_attempts: 0 }, { maxAttempts: 0 }],
  ["the highest priority", { priority: 2_147_483_647 }, { priority: 2_147_483_647 }],
  ["a higher priority", { priority: 2_147_483_648 }, { priority: 2_147_483_648 }],
  ["half a priority", { priority: 0.5 }, { priority: 0.5 }],
])("client and SQL agree on %s", async ([, fields, options], { db, producer, queue }) => {
  const isTaken = await producer.enqueue(job, {}, { queue, ...options }).then(
    () => true,
    () => false,
  );
  const client = await db.pool.connect();
  expect(await sqlTakes(client, fields).finally(() => client.release())).toBe(isTaken);
});

test.for([
  ["6,000 levels", `${"[".repeat(6_000)}1${"]".repeat(6_000)}`, /deeper than 64 levels/],
  ["65 levels of empty lists", `${"[".repeat(65)}${"]".repeat(65)}`, /deeper than 64 levels/],
  ["a number beyond a double", '{"n": [1e400]}', /beyond the range of a double/],
  ["the least number that JavaScript reads as infinite", "1.797693134862315808e308", /beyond the range of a double/],
  ["a negative number beyond a double", "-1e309", /beyond the range of a double/],
] as const)("SQL refuses a payload with %s", async ([, payload, message], { db }) => {
  await expect(db.pool.query("select hark.enqueue('test.bounds', $1)", [payload])).rejects.toThrow(message);
});

test("SQL takes the greatest double, and names given twice or empty", async ({ db, queue }) => {
  for (const payload of ["1.7976931348623157e308", "-1.7976931348623157e308", "1e-400", '{"a": 1, "a": 2, "": -0}'])
    await db.pool.query("select hark.enqueue('test.bounds', $1, queue => $2)", [payload, queue]);
  expect((await db.pool.query("select from hark.jobs where queue = $1", [queue])).rowCount).toBe(4);
});
