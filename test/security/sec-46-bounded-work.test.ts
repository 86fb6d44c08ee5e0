// @module-tag SEC-46
import { InvalidOptionsError, type JobDefinition } from "@hark/core";
import {
  checkPayload,
  errorText,
  jsonIssues,
  loggable,
  maskSecrets,
  parseDuration,
  storableText,
} from "@hark/core/internal";
import { nearest } from "@hark/core/text";
import { defineJob } from "@hark/producer";
import { schedule } from "@hark/worker";
import * as v from "valibot";
import { expect, test } from "vitest";
import { z } from "zod";
import { chooseQueues } from "../../packages/cli/dist/queues-flag.js";
import { hideValues } from "../../packages/core/dist/redact.js";
import { shown } from "../../packages/job-manager/dist/check.js";

/*
 * SEC-46: whatever a caller hands over, the time to check it grows no faster than its size, and is
 * bounded where the size is. SEC-35 has the parsers of plain text, and keys-at-insert.test.ts the
 * batches in PostgreSQL.
 */

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);
/** An array without items. */
function holes(length: number): unknown[] {
  const list: unknown[] = [];
  list.length = length;
  return list;
}
const zodItems = defineJob("test.zod", { payload: z.object({ items: z.array(z.object({ url: z.url() })) }) });
const valibotItems = defineJob("test.valibot", { payload: v.object({ items: v.array(v.number()) }) });
const anything = defineJob("test.anything");

/** An object whose `levels` levels each have the next level twice. */
function shared(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level += 1) value = { a: value, b: value };
  return value;
}

/** A circle with two ways round. */
function circle(): unknown {
  const value: Record<string, unknown> = {};
  value["left"] = value;
  value["right"] = value;
  return value;
}

const emptyNames = (count: number) => Object.fromEntries(numbers(count).map((n) => [`p${n}`, undefined]));

function causes(count: number): Error {
  let error = new Error("first");
  for (const n of numbers(count)) error = new Error(`error ${n}`, { cause: error });
  return error;
}

/** What is checked, the size to begin with, and the check of an input of a size. */
const checks: [name: string, size: number, inputOf: (size: number) => () => unknown][] = [
  ["wrong items, by zod", 1_000, (n) => refused(zodItems, { items: numbers(n).map(() => ({ url: 1 })) })],
  ["wrong items, by valibot", 1_000, (n) => refused(valibotItems, { items: numbers(n).map((i) => `text ${i}`) })],
  [
    "items that are no JSON",
    20_000,
    (n) =>
      refused(
        anything,
        numbers(n).map(() => () => {}),
      ),
  ],
  ["an array of holes", 1_000_000, (n) => refused(anything, { list: holes(n) })],
  ["items", 5_000, (n) => refused(anything, numbers(n))],
  ["names", 10_000, (n) => refused(anything, Object.fromEntries(numbers(n).map((i) => [`n${i}`, i])))],
  ["a payload over the limit", 100_000, (n) => refused(anything, numbers(n).map(String))],
  ["shared levels", 16, (n) => refused(anything, shared(n))],
  ["shared properties that are undefined", 1_000, (n) => refused(anything, holes(n).fill(emptyNames(n)))],
  [
    "an array that is its own item many times",
    1_000,
    (n) => {
      const list: unknown[] = [];
      for (const _ of numbers(n)) list.push(list);
      return refused(anything, list);
    },
  ],
  [
    "a getter with another value each time",
    2_000,
    (n) => {
      let calls = 0;
      const next = {
        get value() {
          calls += 1;
          return calls % 2 ? numbers(n) : shared(40);
        },
      };
      return refused(anything, next);
    },
  ],
  [
    "a proxy with endless items",
    100_000,
    (n) => refused(anything, new Proxy([], { get: (_, name) => (name === "length" ? n : 7) })),
  ],
  ["half surrogate pairs", 50_000, (n) => refused(anything, "\ud800".repeat(n))],
  ["control characters", 40_000, (n) => refused(anything, "\u0001\n".repeat(n))],
  ["a result", 20_000, (n) => () => jsonIssues(numbers(n).map(() => circle()))],
  [
    "a long message about many values",
    1_000,
    (n) => () =>
      hideValues(
        "value 1 ".repeat(n),
        numbers(n).map((i) => `value ${i}`),
      ),
  ],
  [
    "a message of 2,000 characters about long values",
    1_000,
    (n) => () =>
      hideValues(
        "x".repeat(2_000),
        numbers(1_000).map((i) => `${i}`.repeat(n)),
      ),
  ],
  [
    "an error with many issues",
    2_000,
    (n) => () =>
      new InvalidOptionsError(
        "test",
        numbers(n).map((i) => ({ path: [i], message: "x".repeat(500) })),
      ),
  ],
  [
    "an error's causes",
    2_000,
    (n) => {
      const error = causes(n);
      return () => errorText(error) + JSON.stringify(loggable(error));
    },
  ],
  [
    "errors of an AggregateError",
    2_000,
    (n) => {
      const error = new AggregateError(
        numbers(n).map((i) => new Error(`error ${i}`)),
        "all failed",
      );
      return () => errorText(error) + JSON.stringify(loggable(error));
    },
  ],
  ["a long text to store", 2_000_000, (n) => () => storableText("é".repeat(n))],
  [
    "the parts of a cron rule",
    500,
    (n) =>
      attempted(() =>
        schedule(
          anything,
          `${numbers(n)
            .map((i) => i % 60)
            .join(",")} * * * *`,
        ),
      ),
  ],
  ["a long cron rule", 50_000, (n) => attempted(() => schedule(anything, `${"*/1,".repeat(n)}0 * * * *`))],
  ["a cron rule without a moment", 1, () => attempted(() => schedule(anything, "0 0 31 2 *"))],
  [
    "the flag --queues",
    1_000, // more queues are refused by the worker
    (n) =>
      attempted(() =>
        chooseQueues({
          handlers: [],
          queues: numbers(n)
            .map((i) => `q${i}:${1 + (i % 9)}`)
            .join(","),
          concurrency: undefined,
          ofModule: undefined,
        }),
      ),
  ],
  [
    "a wrong option that shares its levels",
    16,
    (n) => attempted(() => defineJob("a", { priority: shared(n) as number })),
  ],
  [
    "a wrong option of lists that share their items",
    16,
    (n) => {
      let list: unknown[] = [1];
      for (const _ of numbers(n)) list = [list, list];
      return attempted(() => parseDuration("delay", list as never));
    },
  ],
  ["a wrong text", 100_000, (n) => wrongName("x".repeat(n))],
  ["a value in a message about options", 16, (n) => attempted(() => shown(shared(n)))],
  ["passwords in a long text", 5_000, (n) => () => maskSecrets("a".repeat(n))],
  ["a mistyped name", 2_000, (n) => () => nearest("x".repeat(n), ["concurrency", "xy".repeat(n)])],
];

function refused(job: JobDefinition, payload: unknown): () => unknown {
  return attempted(() => checkPayload(job, payload));
}

const wrongName = (name: string) => attempted(() => defineJob(name));

/** Runs `work`, and takes a refusal for an answer. */
function attempted(work: () => unknown): () => unknown {
  return () => {
    try {
      return work();
    } catch (error) {
      return (error as Error).message;
    }
  };
}

/** CPU time of this thread in ms for so many runs. Clock time would include other processes. */
function cpuMs(work: () => unknown, runs: number): number {
  const before = process.threadCpuUsage();
  for (let run = 0; run < runs; run += 1) work();
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1_000;
}

/**
 * The system counts time in steps of some ms, so a measurement takes at least so long, and may be
 * off by one step.
 */
const leastMs = 20;
const stepMs = 10;

/** How many runs take long enough to be measured, once the code is compiled. */
function measurable(work: () => unknown): number {
  let runs = 1;
  while (Math.min(cpuMs(work, runs), cpuMs(work, runs)) < leastMs && runs < 1_000_000) runs *= 2;
  return runs;
}

test.for(checks)("four times as much of %s costs at most five times as much", ([, size, inputOf]) => {
  const [small, large] = [inputOf(size), inputOf(4 * size)];
  const runs = measurable(small);
  const least = { small: Infinity, large: Infinity };
  const isLinear = () => least.large <= 5 * least.small + stepMs;
  // The least of several rounds, since others use the same caches.
  for (let round = 0; round < 24 && (round < 2 || !isLinear()); round += 1) {
    least.small = Math.min(least.small, cpuMs(small, runs));
    least.large = Math.min(least.large, cpuMs(large, runs));
  }
  expect(least.large).toBeLessThanOrEqual(5 * least.small + stepMs);
});

test("an error says what is wrong with the first of many items, and how many more there are", () => {
  const refusal = attempted(() =>
    checkPayload(zodItems, { items: numbers(5_000).map(() => ({ url: 1 })) }),
  )() as string;
  expect(refusal).toMatch(/items\.0\.url: .*; items\.4\.url: .*; and 4995 more\. Correct it/);
  expect(refusal.length).toBeLessThan(1_000);
});

test("what is stored is what was checked, even if each call of a getter returns another value", () => {
  let calls = 0;
  const payload = {
    get size() {
      calls += 1;
      return calls;
    },
  };
  const numbersOnly = defineJob("test.getter", { payload: z.object({ size: z.literal(1) }) });
  expect(checkPayload(numbersOnly, payload)).toEqual({ json: '{"size":1}', parsed: { size: 1 } });
});

test.for<[string, () => unknown, RegExp]>([
  [
    "a getter that throws",
    () => ({
      get url() {
        throw new Error("gone");
      },
    }),
    /cannot be read: gone/,
  ],
  [
    "a revoked proxy",
    () => {
      const { proxy, revoke } = Proxy.revocable({}, {});
      revoke();
      return { proxy };
    },
    /proxy: cannot be read/,
  ],
])("%s is a payload that cannot be read", ([, make, message]) => {
  expect(() => checkPayload(anything, make())).toThrow(message);
});
