import { silentLogger } from "@hark/core";
import { expect, test } from "vitest";
import { HandlerContext } from "./handler-context.ts";

const controller = new AbortController();
let made = 0;
const completed: unknown[] = [];
const attempted = {
  job: { id: 2n ** 60n, queue: "q", type: "t", priority: 0, attempt: 1, maxAttempts: 3, key: undefined, token: "x" },
  get signal() {
    made += 1;
    return controller.signal;
  },
  log: silentLogger,
  completeIn: (_: unknown, result: unknown) => Promise.resolve(void completed.push(result)),
} as never;

test("a copy of the context has all that the context has", async () => {
  const context = new HandlerContext(attempted, { url: "x" });
  expect(made).toBe(0); // made only if it is asked for
  // oxlint-disable-next-line typescript/no-misused-spread -- this is what handlers do
  const { completeIn, ...rest } = { ...context, extra: 1 };
  expect(rest).toMatchObject({ signal: controller.signal, log: silentLogger, payload: { url: "x" }, id: 2n ** 60n });
  expect(Object.keys(context)).toEqual(Object.keys(Object.assign({}, context)));
  await completeIn({} as never, 5);
  expect(completed).toEqual([5]);
  expect(() => rest.snooze("1s")).toThrow("snoozed for 1000 ms");
  expect(() => rest.retryAfter("1s", "later")).toThrow("later");
});

test("a copy of the context is written as JSON with its id as text, and with what was added", () => {
  const context = new HandlerContext(attempted, { url: "x" });
  const before = made;
  const json = JSON.stringify(context);
  expect(made).toBe(before); // it made no signal
  // oxlint-disable-next-line typescript/no-misused-spread -- this is what handlers do
  const copy = { ...context, more: 2n ** 61n };
  expect(JSON.parse(JSON.stringify(copy))).toEqual({ ...JSON.parse(json), more: String(2n ** 61n) });
  const { payload: _, ...rest } = context;
  expect(JSON.parse(JSON.stringify(rest))).toMatchObject({ id: String(2n ** 60n), token: "x" });
});

test("a context is written as JSON with its id as text", () => {
  const text = JSON.stringify(new HandlerContext(attempted, { url: "x" }));
  expect(JSON.parse(text)).toEqual({
    id: String(2n ** 60n),
    queue: "q",
    type: "t",
    payload: { url: "x" },
    priority: 0,
    attempt: 1,
    maxAttempts: 3,
    token: "x",
  });
});
