import { defineJob } from "@hark/core";
import { implement } from "@hark/worker";
import { expect } from "vitest";
import { eventually } from "../support/eventually.ts";
import { test } from "../support/fixtures.ts";

test("higher priority starts first, then older", { tags: ["STRICT-2"] }, async ({ producer, queue, startWorker }) => {
  const job = defineJob("test.order", { queue });
  const priorities = [0, 5, -3, 5, 2_147_483_647, 0, -2_147_483_648, 5];
  await producer.enqueueMany(priorities.map((priority, place) => ({ job, payload: place, options: { priority } })));
  const order: unknown[] = [];

  await startWorker([implement(job, ({ payload }) => void order.push(payload))], { queues: { [queue]: 1 } });

  await eventually(() => order.length === priorities.length, { withinMs: 30_000, what: "all starts" });
  expect(order).toEqual([4, 1, 3, 7, 0, 5, 2, 6]);
});

test("a job type's own priority applies if the call gives none", async ({ producer, queue, startWorker }) => {
  const urgent = defineJob("test.urgent", { queue, priority: 10 });
  const plain = defineJob("test.plain", { queue });
  await producer.enqueue(plain, "plain");
  await producer.enqueue(urgent, "urgent");
  await producer.enqueue(plain, "plain, raised", { priority: 11 });
  await producer.enqueue(urgent, "urgent, lowered", { priority: -1 });
  const order: unknown[] = [];
  const handlers = [urgent, plain].map((job) => implement(job, ({ payload }) => void order.push(payload)));

  await startWorker(handlers, { queues: { [queue]: 1 } });

  await eventually(() => order.length === 4, { withinMs: 30_000, what: "all starts" });
  expect(order).toEqual(["plain, raised", "urgent", "plain", "urgent, lowered"]);
});

test(
  "a worker of one slot starts the jobs of a deep queue in order",
  { tags: ["STRICT-2"] },
  async ({ producer, queue, startWorker }) => {
    const job = defineJob("test.order", { queue });
    const places = Array.from({ length: 4_000 }, (_, place) => place);
    await producer.enqueueMany(places.map((payload) => ({ job, payload })));
    const order: unknown[] = [];

    await startWorker([implement(job, ({ payload }) => void order.push(payload))], { queues: { [queue]: 1 } });

    await eventually(() => order.length === places.length, { withinMs: 30_000, what: "all starts" });
    expect(order).toEqual(places);
  },
);

test("a full queue does not delay another queue", { tags: ["FM-39"] }, async ({ producer, queue, startWorker }) => {
  const slow = defineJob("test.slow", { queue });
  const quick = defineJob("test.quick", { queue: `${queue}.quick` });
  const gate = Promise.withResolvers<void>();
  const done: unknown[] = [];
  await startWorker([implement(slow, () => gate.promise), implement(quick, ({ payload }) => void done.push(payload))], {
    queues: { "*": 1 },
  });
  await producer.enqueueMany(Array.from({ length: 5 }, () => ({ job: slow, payload: {} })));

  await producer.enqueue(quick, 1);
  await producer.enqueue(quick, 2);

  await eventually(() => done.length === 2, { withinMs: 30_000, what: "the quick jobs" });
  gate.resolve();
});
