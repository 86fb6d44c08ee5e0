import { defineJob, getJob } from "@hark/core";
import { implement } from "@hark/worker";
import { expect } from "vitest";
import { eventually } from "../support/eventually.ts";
import { test } from "../support/fixtures.ts";
import { countJobs, untilState } from "../support/jobs.ts";

/** So long that no test lives to see it. */
const never = { pollInterval: "10m", promoteInterval: "10m" } as const;

test("what a worker claimed ahead goes back when its slots stay taken, and another worker runs it", async ({
  db,
  producer,
  queue,
  startWorker,
}) => {
  const job = defineJob("test.mixed", { queue });
  const gate = Promise.withResolvers<void>();
  const ran = { one: 0, other: 0 };
  const handlerOf = (name: keyof typeof ran) =>
    implement(job, async ({ payload }) => {
      if (payload === "long") await gate.promise;
      ran[name] += 1;
    });
  await startWorker([handlerOf("one")], { queues: { [queue]: 2 }, ...never });
  await producer.enqueueMany(Array.from({ length: 200 }, () => ({ job, payload: "short" })));
  await eventually(() => ran.one === 200, { withinMs: 30_000, what: "jobs short enough to claim ahead" });

  const payloads = ["long", "long", ...Array<string>(10).fill("short")];
  const jobs = await producer.enqueueMany(payloads.map((payload) => ({ job, payload })));
  const short = jobs.slice(2);
  await expect
    .poll(async () => (await getJob(db, short[9]!.id))!.attempts, { timeout: 30_000 })
    .toMatchObject([
      { ending: "interrupted" }, // it had been claimed, and did not burn its attempt
    ]);
  await startWorker([handlerOf("other")], { queues: { [queue]: 2 }, ...never });

  for (const { id } of short) expect(await untilState(db, id, "completed")).toMatchObject({ attempt: 1 });
  expect(ran.other).toBe(10);
  gate.resolve();
  await expect.poll(() => countJobs(db, queue), { timeout: 30_000 }).toEqual({ completed: 212 });
});

test("a success is settled by the claim that fills its slot, in one commit", async ({
  db,
  producer,
  queue,
  startWorker,
}) => {
  const job = defineJob("test.fused", { queue });
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let started = 0;
  const handler = implement(job, async ({ payload }) => {
    started += 1;
    await gates[payload as number]!.promise;
  });
  await startWorker([handler], { queues: { [queue]: 1 }, ...never });
  const jobs = await producer.enqueueMany([0, 1].map((payload) => ({ job, payload })));
  await eventually(() => started === 1, { withinMs: 30_000, what: "the first job" });

  gates[0]!.resolve();
  await eventually(() => started === 2, { withinMs: 30_000, what: "the second job" });

  const { rows } = await db.pool.query(
    `select (select xmin::text from hark.finished_jobs where id = $1) = (select xmin::text from hark.running_jobs where id = $2) as is_one`,
    jobs.map(({ id }) => id),
  );
  expect(rows).toEqual([{ is_one: true }]);
  gates[1]!.resolve();
  await untilState(db, jobs[1]!.id, "completed");
});

test("a success is written though the claim that took it along fails", async ({ db, producer, queue, startWorker }) => {
  const job = defineJob("test.along", { queue });
  const gate = Promise.withResolvers<void>();
  await startWorker([implement(job, ({ payload }) => (payload === "first" ? gate.promise : undefined))], {
    queues: { [queue]: 1 },
  });
  const [first] = await producer.enqueueMany(["first", "unclaimable"].map((payload) => ({ job, payload })));
  await untilState(db, first!.id, "running");
  await db.pool.query(
    `alter table hark.running_jobs add constraint unclaimable check (payload <> '"unclaimable"') not valid`,
  );
  try {
    gate.resolve();
    expect(await untilState(db, first!.id, "completed")).toMatchObject({ attempt: 1, attempts: [] });
  } finally {
    await db.pool.query("alter table hark.running_jobs drop constraint unclaimable");
  }
  await expect.poll(() => countJobs(db, queue), { timeout: 30_000 }).toEqual({ completed: 2 });
});
