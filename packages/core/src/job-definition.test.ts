import { expect, test } from "vitest";
import { defineJob, parsePayload, payloadJson } from "./job-definition.ts";

test("a definition fills in the defaults", () => {
  expect(defineJob("email.welcome")).toMatchObject({
    queue: "default",
    priority: 0,
    maxAttempts: 3,
    backoff: { baseMs: 1_000, factor: 2 },
  });
});

test.each(["", "Email", "email welcome", "é", "-x", "a".repeat(64), "a/b", 'a";drop', 7 as never])(
  "%s cannot name a job type",
  (type) => {
    expect(() => defineJob(type)).toThrow(/cannot name a job type/);
  },
);

test.each([
  [{ priority: 1.5 }, /priority: must be an integer/],
  [{ priority: 2 ** 31 }, /priority/],
  [{ retry: { attempts: 0 } }, /attempts: must be an integer from 1/],
  [{ timeout: "later" as never }, /no duration/],
  [{ queue: "Q" }, /cannot name a queue/],
])("%j is refused when the job type is defined", (options, message) => {
  expect(() => defineJob("a", options)).toThrow(message);
});

test("a payload over 256 KiB is refused with its size", () => {
  expect(() => payloadJson("a", "x".repeat(262_144))).toThrow(
    /at least 262146 bytes as PostgreSQL stores it, over the limit of 262144/,
  );
  expect(payloadJson("a", "x".repeat(262_142))).toHaveLength(262_144);
});

test("no payload is stored as null", () => {
  expect(payloadJson("a", undefined)).toBe("null");
});

test("issues of any Standard Schema come with their paths, also from an asynchronous one", async () => {
  const refused = { issues: [{ message: "Required", path: ["user", { key: 0 }, Symbol("id")] }] };
  const schema = (validate: () => any) => ({ "~standard": { version: 1 as const, vendor: "test", validate } });
  const issues = [{ message: "Required", path: ["user", 0, "Symbol(id)"] }];
  expect(() => parsePayload(defineJob("a", { payload: schema(() => refused) }), {})).toThrow(
    expect.objectContaining({ issues }),
  );
  await expect(parsePayload(defineJob("a", { payload: schema(async () => refused) }), {})).rejects.toMatchObject({
    issues,
  });
});

test.for<[name: string, answer: unknown, message: RegExp]>([
  ["nothing", undefined, /refused: its schema answers neither a value nor issues/],
  ["null", null, /refused: its schema answers neither/],
  ["issues that are no list", { issues: "bad" }, /refused: its schema refuses it/],
  ["an issue without a message", { issues: [{}] }, /refused: its schema refuses it/],
  ["an issue that is null", { issues: [null] }, /refused: its schema refuses it/],
  [
    "a path of anything",
    { issues: [{ message: "no", path: [{ key: Symbol("a") }, 1n, null, {}] }] },
    /Symbol\(a\)\.1\.null\.undefined: no/,
  ],
])("a schema that answers %s refuses the payload", ([, answer, message]) => {
  const schema = { "~standard": { version: 1, vendor: "own", validate: () => answer } };
  const job = defineJob("test.own", { payload: schema as never });
  for (const stored of [{}, null]) expect(() => parsePayload(job, stored)).toThrow(message);
  expect(() => parsePayload(job, {})).toThrow(expect.objectContaining({ code: "INVALID_PAYLOAD" }));
});
