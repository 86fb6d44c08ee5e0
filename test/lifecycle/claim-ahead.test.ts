import { defineJob, getJob } from "@hark/core";
import { implement } from "@hark/worker";
import pg from "pg";
import { expect, onTestFinished, vi } from "vitest";
import { eventually } from "../support/eventually.ts";
import { test } from "../support/fixtures.ts";
import { countJobs, untilState } from "../support/jobs.ts";

/** Longer than any test runs. */
const never = { pollInterval: "10m", promoteInterval: "10m" } as const;

test(
  "jobs that a worker claimed ahead go back if its slots stay busy, and another worker runs them",
  { tags: ["FM-25"] },
  async ({ db, producer, queue, startWorker }) => {
    const job = defineJob("test.mixed", { queue });
    let gate = Promise.withResolvers<void>();
    const ran = { one: 0, other: 0, long: 0 };
    const handlerOf = (name: "one" | "other") =>
      implement(job, async ({ payload }) => {
        ran[payload === "long" ? "long" : name] += 1;
        if (payload === "long") await gate.promise;
      });
    await startWorker([handlerOf("one")], { queues: { [queue]: 2 }, ...never });

    const payloads = [...Array<string>(40).fill("short"), "long", "long", ...Array<string>(10).fill("short")];
    let waves = 0;
    let short: { id: bigint }[];
    for (;;) {
      const jobs = await producer.enqueueMany(payloads.map((payload) => ({ job, payload })));
      waves += 1;
      short = jobs.slice(-10); // queued behind the long ones, and claimed with them at the measured rate
      await eventually(() => ran.long === 2 * waves, { withinMs: 30_000, what: "the long jobs" });
      const { state, attempts } = (await getJob(db, short[9]!.id))!;
      if (state === "running" || attempts.length > 0) break;
      gate.resolve(); // the machine was too slow to claim ahead: try again
      await expect.poll(() => countJobs(db, queue), { timeout: 30_000 }).toEqual({ completed: 52 * waves });
      gate = Promise.withResolvers<void>();
    }

    await expect
      .poll(async () => (await getJob(db, short[9]!.id))!.attempts, { timeout: 30_000 })
      .toMatchObject([
        { ending: "interrupted" }, // it had been claimed, and did not use up its attempt
      ]);
    await startWorker([handlerOf("other")], { queues: { [queue]: 2 }, ...never });

    for (const { id } of short) expect(await untilState(db, id, "completed")).toMatchObject({ attempt: 1 });
    expect(ran.other).toBe(10);
    gate.resolve();
    await expect.poll(() => countJobs(db, queue), { timeout: 30_000 }).toEqual({ completed: 52 * waves });
  },
);

test(
  "a success is settled by the claim that fills its slot, in one commit",
  { tags: ["FAST-3"] },
  async ({ db, producer, queue, startWorker }) => {
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
  },
);

test(
  "a success is recorded even if the claim that carries it fails",
  { tags: ["FM-41"] },
  async ({ db, producer, queue, startWorker }) => {
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
  },
);

test("two claims of a deep queue run at once, and each of its jobs runs once", async ({
  db,
  producer,
  queue,
  startWorker,
}) => {
  const claims = { underWay: 0, most: 0 };
  // oxlint-disable-next-line typescript/unbound-method -- it is called with its own `this`
  const query = pg.Client.prototype.query;
  const spy = vi.spyOn(pg.Client.prototype, "query").mockImplementation(function (this: pg.Client, ...args: unknown[]) {
    const answer = query.apply(this, args as never) as unknown as Promise<unknown>;
    if (/claim-(plain-)?jobs/.test((args[0] as { name?: string }).name ?? "")) {
      claims.most = Math.max(claims.most, (claims.underWay += 1));
      const answered = () => void (claims.underWay -= 1);
      answer.then(answered, answered);
    }
    return answer as never;
  });
  onTestFinished(() => spy.mockRestore());
  const job = defineJob("test.deep", { queue });
  const starts: number[] = [];
  await startWorker([implement(job, ({ payload }) => void (starts[payload as number]! += 1))], never);

  // A claim that takes long, as on a busy machine, is followed by one at a time for a while.
  for (let round = 1; claims.most < 2 && round <= 20; round += 1) {
    for (let sent = 0; sent < 10; sent += 1) {
      const batch = Array.from({ length: 1_000 }, () => ({ job, payload: starts.push(0) - 1 }));
      await producer.enqueueMany(batch);
    }
    await expect.poll(() => countJobs(db, queue), { timeout: 30_000 }).toEqual({ completed: starts.length });
  }
  expect(claims.most).toBe(2);
  expect(starts.every((count) => count === 1)).toBe(true);
});
