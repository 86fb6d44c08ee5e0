import { defineJob, InvalidNameError, InvalidPayloadError, UnknownJobTypeError } from "@hark/core";
import { createWorker, implement, schedule } from "@hark/worker";
import * as v from "valibot";
import { describe, expect, test } from "vitest";

const plain = defineJob("test.plain");
const mail = defineJob("mail.digest", {
  payload: v.object({ to: v.string() }),
  key: ({ to }) => to,
  retry: { attempts: 5 },
});

test("a schedule is named for its job type, and uses the settings of the type and the payload", () => {
  const weekly = schedule(mail, "0 9 * * 1", { tz: "Europe/Zurich", payload: { to: "ada" } });
  expect(weekly).toMatchObject({
    name: "mail.digest",
    rule: { cron: "0 9 * * 1", zone: "Europe/Zurich" },
    missed: "once",
    job: { type: "mail.digest", queue: "default", payloadJson: '{"to":"ada"}', maxAttempts: 5, key: "ada" },
  });
  expect(schedule(plain, { every: "90s" }, { name: "other", key: "k", queue: "q" })).toMatchObject({
    name: "other",
    rule: { everyMs: 90_000 },
    job: { key: "k", queue: "q", payloadJson: "null" },
  });
});

describe("is rejected at once, with the reason:", () => {
  test.for<[string, unknown, object, RegExp]>([
    ["a pattern of too few fields", "0 9 * *", {}, /cron: "0 9 \* \*" is not a cron pattern/],
    ["an impossible minute", "61 * * * *", {}, /cron: .*61/],
    ["a date", "2026-01-01T00:00:00", {}, /cron: .* it is a date/],
    ["an impossible day", "0 0 30 2 *", {}, /cron: 0 0 30 2 \* is never due/],
    ["a very long pattern", `${"1,".repeat(9_000)}1 * * * *`, {}, /longer than 500 characters/],
    ["an unknown zone", "0 9 * * *", { tz: "Europe/Atlantis" }, /tz: "Europe\/Atlantis" is not a time zone/],
    ["a zone for an interval", { every: "1h" }, { tz: "UTC" }, /tz: is for cron patterns/],
    ["an interval under a second", { every: 999 }, {}, /every: must be .* at least 1000, not 999/],
    ["an invalid interval", { every: "soon" }, {}, /every: "soon" is not a duration/],
    ["no rule", undefined, {}, /when: must be a cron pattern or/],
    [
      "an unknown rule for missed ticks",
      "0 9 * * *",
      { missed: "some" },
      /missed: must be none, once or all, not "some"/,
    ],
    ["an unknown option", "0 9 * * *", { delay: 5 }, /delay: is not an option of schedule/],
    ["several faults at once", "x", { missed: "x", tz: "UTC" }, /missed: .*; cron: /],
  ])("%s", ([, when, options, message]) => {
    expect(() => schedule(plain, when as string, options)).toThrow(message);
  });

  test("a payload that fails the schema, an invalid name or an invalid key", () => {
    expect(() => schedule(mail, "0 9 * * 1", { payload: { to: 5 as never } })).toThrow(InvalidPayloadError);
    expect(() => schedule(plain, "0 9 * * 1", { payload: { at: new Date() } })).toThrow(InvalidPayloadError);
    expect(() => schedule(plain, "0 9 * * 1", { name: "Not This" })).toThrow(InvalidNameError);
    expect(() => schedule(plain, "0 9 * * 1", { key: "" })).toThrow(/key: must be text/);
  });

  test("an asynchronous schema", () => {
    const slow = defineJob("test.slow", {
      payload: v.pipeAsync(
        v.string(),
        v.checkAsync(() => Promise.resolve(true)),
      ),
    });
    expect(() => schedule(slow, "0 9 * * 1", { payload: "x" })).toThrow(/asynchronous schema/);
  });

  test("a value that is not a job type", () => {
    expect(() => schedule("mail.digest" as never, "0 9 * * 1", {} as never)).toThrow(UnknownJobTypeError);
  });

  test("two schedules of one name, by the worker", () => {
    const twice = [schedule(plain, "0 9 * * 1"), schedule(plain, "0 9 * * 2")];
    const handlers = [implement(plain, () => {})];
    expect(() => createWorker({ connectionString: "postgres://nowhere", handlers, schedules: twice })).toThrow(
      /schedules: there are two schedules named test.plain/,
    );
  });
});
