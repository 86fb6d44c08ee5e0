import { type Logger, silentLogger } from "@hark/core";
import type { statements } from "@hark/core/internal";
import { expect, test, vi } from "vitest";
import { WorkerEvents } from "./events.ts";

test("a listener can write the job as JSON, and hears of the same one each time", () => {
  const events = new WorkerEvents(silentLogger);
  const job = { id: 2n ** 60n, type: "one" } as never as statements.ClaimedJob;
  const heard: unknown[] = [];
  for (const name of ["started", "refused"] as const) events.on(name, (each) => heard.push(each, JSON.stringify(each)));
  events.tell("started", job);
  events.tell("refused", job);
  const text = `{"id":"${2n ** 60n}","type":"one"}`;
  expect(heard).toEqual([job, text, job, text]);
  expect(heard[0]).toBe(job);
});

test("a listener that throws or rejects is logged, and the others are called", { tags: ["FM-70"] }, async () => {
  const error = vi.fn<Logger["error"]>();
  const events = new WorkerEvents({ ...silentLogger, error });
  const heard: string[] = [];
  const listen = (heardBy: () => unknown) => events.on("leaseLost", heardBy);
  listen(() => Promise.reject(new Error("rejected")));
  listen(async () => {
    await Promise.resolve();
    throw new Error("rejected later");
  });
  events.on("leaseLost", () => heard.push("first"));
  events.once("leaseLost", () => {
    throw new Error("thrown");
  });
  events.tell("leaseLost");
  await vi.waitFor(() => expect(error).toHaveBeenCalledTimes(3));
  expect(heard).toEqual(["first"]);
  expect(error.mock.calls.map(([, message]) => message).toSorted()).toEqual([
    "an event listener rejected",
    "an event listener rejected",
    "an event listener threw",
  ]);
});
