import { defineJob, type JobDefinition, statements } from "@hark/core";
import type { EnqueueOptions } from "@hark/producer";
import { expect } from "vitest";
import { test } from "../support/fixtures.ts";

const a = defineJob("announced.a", { queue: "a" });
const b = defineJob("announced.b", { queue: "b" });
const unheard = defineJob("announced.unheard", { queue: "unheard" });

// docs/decisions/0006, 0013: a notification makes commits queue up, so who does not sleep is not told.
test("an insert tells who sleeps on a queue how many jobs are ready there, once a queue, and nobody else", async ({
  db,
  producer,
}) => {
  const heard: string[] = [];
  const client = await db.pool.connect();
  client.on("notification", ({ channel, payload = "" }) => {
    const [first, jobs] = payload.split(" ");
    heard.push(channel === "job_ready" ? `${first} ${jobs}` : channel);
  });
  await client.query("listen job_ready");
  await client.query("listen job_scheduled");
  for (const queue of ["a", "b"]) await statements.armGate(client, { queue });
  const toldOf = async (...jobs: readonly { job: JobDefinition; options?: EnqueueOptions }[]) => {
    await producer.enqueueMany(jobs.map((job) => ({ payload: {}, ...job })));
    await client.query("select 1"); // what was sent before has come
    return heard.splice(0).toSorted();
  };

  expect(await toldOf({ job: a })).toEqual(["a 1"]);
  expect(await toldOf({ job: a }, { job: a }, { job: a })).toEqual(["a 3"]);
  expect(await toldOf({ job: b }, { job: a }, { job: unheard }, { job: b })).toEqual(["a 1", "b 2"]);
  expect(await toldOf({ job: unheard }, { job: unheard })).toEqual([]);
  expect(await toldOf({ job: a }, { job: a, options: { delay: "5s" } })).toEqual(["a 1", "job_scheduled"]);
  expect(await toldOf({ job: b, options: { delay: "4s" } })).toEqual(["job_scheduled"]);

  client.release(true);
});
