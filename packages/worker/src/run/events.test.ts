import { type Logger, silentLogger } from "@hark/core";
import { expect, test, vi } from "vitest";
import { WorkerEvents } from "./events.ts";

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
