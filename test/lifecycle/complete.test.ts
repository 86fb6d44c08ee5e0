import { defineJob, getJob, silentLogger } from "@hark/core";
import { statements } from "@hark/core/internal";
import { implement } from "@hark/worker";
import * as v from "valibot";
import { expect } from "vitest";
import { eventually } from "../support/eventually.ts";
import { test } from "../support/fixtures.ts";
import { claim, completed, insertJob, registerWorker, untilState } from "../support/jobs.ts";
import { expireLease } from "../support/pass-time.ts";

test(
  "an idle worker runs a job once it is committed, long before its poll, and keeps the result",
  { tags: ["AWAKE-1"] },
  async ({ db, producer, queue, startWorker }) => {
    const add = defineJob("test.add", { queue });
    const handler = implement(add, ({ payload }) => ({ sum: (payload as number[]).reduce((sum, term) => sum + term) }));
    await startWorker([handler], { pollInterval: "10m" });

    const { id, status } = await producer.enqueue(add, [1, 2, 3]);

    expect(status).toBe("inserted");
    const job = await untilState(db, id, "completed");
    expect(job).toMatchObject({ queue, type: "test.add", payload: [1, 2, 3], result: { sum: 6 }, attempt: 1 });
    expect(job.attempts).toEqual([]); // a success at the first attempt is not recorded as an attempt
    expect(job.startedAt!.getTime()).toBeLessThanOrEqual(job.finishedAt!.getTime());
  },
);

test("a handler gets the payload as parsed by the schema, and the table keeps the original", async ({
  db,
  producer,
  queue,
  startWorker,
}) => {
  const greet = defineJob("test.greet", {
    queue,
    payload: v.object({ name: v.optional(v.string(), "you"), at: v.pipe(v.string(), v.transform(Number)) }),
  });
  const seen: unknown[] = [];
  await startWorker([implement(greet, (job) => void seen.push(job.payload))]);

  const { id } = await producer.enqueue(greet, { at: "7" });

  expect((await untilState(db, id, "completed")).payload).toEqual({ at: "7" });
  expect(seen).toEqual([{ name: "you", at: 7 }]);
});

test(
  "without a result schema a job is completed whatever its handler returns, and warned of once a type",
  { tags: ["FM-36", "FM-37", "FM-71"] },
  async ({ db, producer, queue, startWorker }) => {
    const circle: unknown[] = [];
    circle.push(circle);
    const results: [returned: () => unknown, kept: unknown][] = [
      [() => "x".repeat(65_534), "x".repeat(65_534)],
      [() => ({ id: 5n, at: new Date(0) }), { id: "5", at: "1970-01-01T00:00:00.000Z" }],
      [async () => (await db.pool.query("select now() as at")).rowCount, 1],
      [() => Promise.all([Promise.resolve(), Promise.resolve()]), [null, null]],
      [() => Buffer.from("x"), { type: "Buffer", data: [120] }],
      [() => new Map([[1, 2]]), {}],
      [() => new Response("x"), {}],
      [() => Number.NaN, null],
      [() => "x".repeat(70_000), null],
      [() => ({ text: "a\0b" }), null],
      [() => circle, null],
      [() => Symbol("x"), null],
      [() => db.pool, null],
      [
        () => ({
          toJSON() {
            throw new Error("no");
          },
        }),
        null,
      ],
    ];
    const loose = defineJob("test.loose", { queue });
    const lines: string[] = [];
    const logger = { ...silentLogger, warn: (_: object, message: string) => void lines.push(message) };
    await startWorker([implement(loose, ({ payload }) => results[payload as number]![0]())], { logger });

    const jobs = await producer.enqueueMany(results.map((_, place) => ({ job: loose, payload: place })));

    for (const [place, { id }] of jobs.entries()) {
      const job = await untilState(db, id, "completed");
      const [returned, kept] = results[place]!;
      if (kept !== null || job.result === null) expect(job.result, returned.toString()).toEqual(kept);
    }
    expect(lines.filter((line) => line.includes("a handler returned what is not JSON"))).toHaveLength(1);
  },
);

test(
  "with a result schema its output is kept as JSON, and what does not fit it is a dead letter that says why",
  { tags: ["FM-36", "FM-71"] },
  async ({ db, producer, queue, startWorker }) => {
    const sum = v.object({
      sum: v.pipe(
        v.number(),
        v.transform((number) => BigInt(number)),
      ),
      at: v.optional(v.date()),
    });
    const strict = defineJob("test.strict", { queue, result: sum });
    const text = defineJob("test.text", { queue, result: v.string() });
    const handlers = [
      implement(strict, ({ payload }) => payload as never),
      implement(text, ({ payload }) => ((payload as { nul: boolean }).nul ? "a\0b" : "x".repeat(70_000))),
    ];
    await startWorker(handlers);

    const fits = await producer.enqueue(strict, { sum: 6, dropped: true });
    const wrongs: [bigint, RegExp][] = [
      [(await producer.enqueue(strict, { sum: "six" })).id, /the result of test\.strict fails its schema/],
      [(await producer.enqueue(text, { nul: true })).id, /the result of test\.text cannot be kept: has a NUL/],
      [(await producer.enqueue(text, { nul: false })).id, /has more than 65536 bytes/],
    ];

    expect((await untilState(db, fits.id, "completed")).result).toEqual({ sum: "6" });
    for (const [id, error] of wrongs) {
      expect(await untilState(db, id, "dead")).toMatchObject({
        reason: "unrecoverable",
        attempt: 1,
        error: expect.stringMatching(error),
      });
    }
  },
);

test(
  "at most `concurrency` jobs of a queue run at once, and all of them run",
  { tags: ["STRICT-4"] },
  async ({ producer, queue, startWorker }) => {
    const job = defineJob("test.count", { queue });
    let running = 0;
    let most = 0;
    let ended = 0;
    const handler = implement(job, async () => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 20));
      running -= 1;
      ended += 1;
    });
    await startWorker([handler], { queues: { [queue]: 3 } });

    await producer.enqueueMany(Array.from({ length: 20 }, () => ({ job, payload: {} })));

    await eventually(() => ended === 20, { withinMs: 30_000, what: "20 ended jobs" });
    expect(most).toBe(3);
  },
);

test("a worker claims only for its free slots, so that another worker gets the rest", async ({
  db,
  producer,
  queue,
  startWorker,
}) => {
  const job = defineJob("test.long", { queue });
  const gate = Promise.withResolvers<void>();
  const started: string[] = [];
  const handlerOf = (name: string) =>
    implement(job, async () => {
      started.push(name);
      await gate.promise;
    });
  await startWorker([handlerOf("one")], { queues: { [queue]: 2 } });
  await producer.enqueueMany(Array.from({ length: 4 }, () => ({ job, payload: {} })));
  await eventually(() => started.length === 2, { withinMs: 30_000, what: "two starts" });

  await startWorker([handlerOf("other")], { queues: { [queue]: 2 } });

  await eventually(() => started.length === 4, { withinMs: 30_000, what: "four starts" });
  expect(started.toSorted()).toEqual(["one", "one", "other", "other"]);
  gate.resolve();
  await eventually(
    async () => (await db.pool.query("select from hark.running_jobs where queue = $1", [queue])).rowCount === 0,
    {
      withinMs: 30_000,
      what: "no job running",
    },
  );
});

test("an outcome that comes after its lease was lost changes nothing", { tags: ["OWNED-1"] }, async ({ db, queue }) => {
  const id = await insertJob(db, { queue });
  const slow = await registerWorker(db);
  const [stale] = await claim(db, { queue, worker: slow });

  await expireLease(db, slow);
  await statements.certifyDeaths(db, {});
  await statements.rescueJobs(db, { limit: 100 });
  const [fresh] = await claim(db, { queue, worker: await registerWorker(db) });

  expect(await statements.completeJobs(db, completed(stale!))).toEqual([]);
  expect((await getJob(db, id))?.state).toBe("running");
  expect(await statements.completeJobs(db, completed(fresh!))).toEqual([{ id }]);
  expect(await statements.completeJobs(db, completed(fresh!))).toEqual([]); // a second settle finds nothing
});
