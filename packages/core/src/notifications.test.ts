import { expect, test } from "vitest";
import { readJobReady } from "./notifications.ts";

test("a queue, its jobs and a salt are read", () => {
  expect(readJobReady("mail 12 738123")).toEqual({ queue: "mail", jobs: 12, salt: "738123" });
});

test.for([
  "mail",
  "mail ",
  "mail 0 1",
  "mail -1 1",
  "mail 1e9 1",
  "mail 1234567890 1",
  "mail 1",
  "mail 1 x",
  "mail 1 2 3",
  "mail  1 2",
])("anything else behind the queue is no reason to ignore it, nor to believe it: %j", (payload) => {
  expect(readJobReady(payload)).toEqual({ queue: "mail", jobs: undefined, salt: undefined });
});
