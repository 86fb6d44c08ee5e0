import { defineJob } from "@hark/core";
import { implement } from "@hark/worker";
import { expect, test } from "vitest";
import { chooseQueues } from "./queues-flag.ts";

const handlers = [
  implement(defineJob("a", { queue: "one" }), () => {}),
  implement(defineJob("b", { queue: "two" }), () => {}),
];
const choose = (given: Partial<Parameters<typeof chooseQueues>[0]>) =>
  chooseQueues({ handlers, queues: undefined, concurrency: undefined, ofModule: undefined, ...given });

test("without --queues, the queues are those of the handlers and the module, with the given number where a queue has none", () => {
  expect(choose({})).toEqual({ one: 10, two: 10 });
  expect(choose({ ofModule: 3 })).toEqual({ one: 3, two: 3 });
  expect(choose({ ofModule: { one: 2, more: 4 }, concurrency: "7" })).toEqual({ one: 2, two: 7, more: 4 });
});

test("--queues is the whole list: queues of handlers that it does not name are left out", () => {
  expect(choose({ queues: "two:5, three", concurrency: "7" })).toEqual({ two: 5, three: 7 });
});

test(`"*" in --queues adds the queues of the handlers`, () => {
  expect(choose({ queues: "*:2,three:1" })).toEqual({ one: 2, two: 2, three: 1 });
});

test("a queue's name may hold a colon, and may be the name of an Object.prototype property", () => {
  expect(choose({ queues: "tenant:7:3,constructor" })).toEqual({ "tenant:7": 3, constructor: 10 });
});

test.for(["", "a b", "a:", "a:0", "a,a", "A", "a:10001"])("%j is refused", (queues) => {
  expect(() => choose({ queues })).toThrow(/--queues/);
});
