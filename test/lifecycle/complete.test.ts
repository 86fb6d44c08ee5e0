import { defineJob, getJob } from "@hark/core";
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
  "a result that cannot be stored makes a dead letter that says why",
  { tags: ["FM-36", "FM-37"] },
  async ({ db, producer, queue, startWorker }) => {
    const loose = defineJob("test.loose", { queue });
    const strict = defineJob("test.strict", { queue, result: v.object({ sum: v.number() }) });
    const results = [{ id: 1n }, { text: "a\0b" }, "x".repeat(65_536), "x".repeat(65_534)];
    const handlers = [
      implement(loose, ({ payload }) => results[payload as number]),
      implement(strict, () => ({ sum: "six" }) as never),
    ];
    await startWorker(handlers);

    const [bigint, nul, large, fitting] = await producer.enqueueMany(
      results.map((_, place) => ({ job: loose, payload: place })),
    );
    const wrong = await producer.enqueue(strict, {});

    const reasons: [bigint, RegExp][] = [
      [bigint!.id, /the result of test\.loose is not JSON at id: a bigint/],
      [nul!.id, /is not JSON at text: has a NUL/],
      [large!.id, /has more than 65536 bytes/],
      [wrong.id, /the result of test\.strict fails its schema/],
    ];
    for (const [id, error] of reasons) {
      expect(await untilState(db, id, "dead")).toMatchObject({
        reason: "unrecoverable",
        attempt: 1,
        error: expect.stringMatching(error),
      });
    }
    await untilState(db, fitting!.id, "completed");
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
