import { cancelJob, defineJob, getJob, LeaseLostError } from "@hark/core";
import { statements } from "@hark/core/internal";
import { implement } from "@hark/worker";
import { sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import * as v from "valibot";
import { expect } from "vitest";
import { eventually } from "../support/eventually.ts";
import { test as base } from "../support/fixtures.ts";
import { untilState } from "../support/jobs.ts";

/** An application's table, which a handler writes to. */
const test = base.extend("books", { scope: "file" }, async ({ db }) => {
  await db.pool.query("create table books (job bigint, title text)");
  return async (job: bigint) =>
    (await db.pool.query<{ title: string }>("select title from books where job = $1", [job])).rows;
});

test(
  "the handler's row and the completion commit together",
  { tags: ["ONCE-1"] },
  async ({ db, producer, queue, books, startWorker }) => {
    const job = defineJob("test.book", { queue });
    const handler = implement(job, async (context) => {
      const { id } = context;
      await db.transaction(async (tx) => {
        await tx.query("insert into books values ($1, 'Dune')", [id]);
        await context.completeIn(tx, { stored: true });
        expect((await getJob(db, id))!.state).toBe("running"); // other sessions do not see it yet
      });
      expect((await getJob(db, id))!.state).toBe("completed");
    });
    const worker = await startWorker([handler]);
    const settled: unknown[] = [];
    worker.events.on("settled", ({ id }, { state }) => settled.push([id, state]));

    const { id } = await producer.enqueue(job, {});

    const done = await untilState(db, id, "completed");
    expect(done.result).toEqual({ stored: true });
    expect(await books(id)).toEqual([{ title: "Dune" }]);
    await eventually(() => settled.length === 1, { withinMs: 30_000, what: "the event" });
    expect(settled).toEqual([[id, "completed"]]);
    await eventually(() => worker.health().activeJobs === 0, { withinMs: 30_000, what: "the free slot" });
  },
);

// Found by the fault campaign: completed jobs counted as retries to come, and retries of other jobs
// were spread behind them.
test("jobs that were completed in a transaction delay no retry of another job", async ({
  db,
  producer,
  queue,
  startWorker,
}) => {
  const job = defineJob("test.book", { queue, retry: { attempts: 2, backoff: { base: 1_000 } } });
  const completed = 100;
  let done = 0;
  const handler = implement(job, async (context) => {
    if (context.payload === "fails") throw new Error("no");
    await db.transaction((tx) => context.completeIn(tx));
    done += 1;
  });
  await startWorker([handler]);
  await producer.enqueueMany(Array.from({ length: completed }, () => ({ job, payload: "book" })));
  await eventually(() => done === completed, { withinMs: 30_000, what: "the completions" });

  const { id } = await producer.enqueue(job, "fails");
  const { attempts } = await untilState(db, id, "scheduled");
  const waitMs = Number(attempts[0]!.retryAt) - Number(attempts[0]!.finishedAt);
  expect(waitMs).toBeGreaterThan(850);
  expect(waitMs).toBeLessThan(1_150); // its own backoff and jitter
});

test("a Drizzle transaction can complete a job too", async ({ db, producer, queue, books, startWorker }) => {
  const job = defineJob("test.book", { queue });
  const handler = implement(job, (context) =>
    drizzle(db.pool).transaction(async (tx) => {
      await tx.execute(sql`insert into books values (${context.id}, 'Emma')`);
      await context.completeIn(tx);
    }),
  );
  await startWorker([handler]);

  const { id } = await producer.enqueue(job, {});

  await untilState(db, id, "completed");
  expect(await books(id)).toEqual([{ title: "Emma" }]);
});

test(
  "a rollback leaves neither row nor completion, and the attempt fails",
  { tags: ["ONCE-1"] },
  async ({ db, producer, queue, books, startWorker }) => {
    const job = defineJob("test.book", { queue, retry: { backoff: { base: 1 } } });
    const handler = implement(job, async (context) => {
      const { id, attempt } = context;
      const client = await db.pool.connect();
      try {
        await client.query("begin");
        await client.query("insert into books values ($1, $2)", [id, `attempt ${attempt}`]);
        await context.completeIn(client);
        await client.query(attempt === 3 ? "commit" : "rollback");
        if (attempt === 1) throw new Error("the handler noticed");
      } finally {
        client.release();
      }
    });
    await startWorker([handler]);

    const { id } = await producer.enqueue(job, {});

    const done = await untilState(db, id, "completed");
    expect(await books(id)).toEqual([{ title: "attempt 3" }]);
    expect(done.attempts.map(({ attempt, ending }) => [attempt, ending])).toEqual([
      [1, "error"],
      [2, "error"],
      [3, "completed"],
    ]);
    expect(done.attempts[1]!.error).toContain("did not commit, though the handler returned");
  },
);

test("a handler that fails after its transaction committed has still completed its job", async ({
  db,
  producer,
  queue,
  books,
  startWorker,
}) => {
  const job = defineJob("test.book", { queue });
  const handler = implement(job, async (context) => {
    const { id } = context;
    await db.transaction(async (tx) => {
      await tx.query("insert into books values ($1, 'Ulysses')", [id]);
      await context.completeIn(tx);
    });
    throw new Error("too late");
  });
  const worker = await startWorker([handler]);

  const { id } = await producer.enqueue(job, {});

  await untilState(db, id, "completed");
  await eventually(() => worker.health().activeJobs === 0, { withinMs: 30_000, what: "the end of the attempt" });
  expect(await getJob(db, id)).toMatchObject({ state: "completed", attempts: [] });
  expect(await books(id)).toEqual([{ title: "Ulysses" }]);
});

test(
  "completeIn of a former owner throws, and its transaction leaves nothing",
  { tags: ["FM-20", "ONCE-1"] },
  async ({ db, producer, queue, books, startWorker }) => {
    const job = defineJob("test.book", { queue });
    const errors: unknown[] = [];
    const titles: string[] = [];
    const handler = implement(job, async (context) => {
      const { id } = context;
      const isFirst = titles.length === 0;
      const title = isFirst ? "stale" : "fresh";
      titles.push(title);
      // As after a pause longer than the lease: another worker owns the job before this one writes.
      if (isFirst) {
        await db.pool.query("update hark.running_jobs set worker = gen_random_uuid() where id = $1", [id]);
        await statements.rescueJobs(db, { limit: 10 });
      }
      await db
        .transaction(async (tx) => {
          await tx.query("insert into books values ($1, $2)", [id, title]);
          await context.completeIn(tx);
        })
        .catch((error: unknown) => {
          errors.push(error);
          throw error;
        });
    });
    await startWorker([handler]);

    const { id } = await producer.enqueue(job, {});

    await untilState(db, id, "completed");
    await eventually(() => errors.length > 0, { withinMs: 30_000, what: "the former owner's error" });
    expect(errors).toEqual([expect.any(LeaseLostError)]);
    expect(await books(id)).toEqual([{ title: "fresh" }]);
    expect(titles).toEqual(["stale", "fresh"]);
  },
);

test(
  "a cancelled job can no longer be completed",
  { tags: ["ONCE-1"] },
  async ({ db, producer, queue, books, startWorker }) => {
    const job = defineJob("test.book", { queue });
    const errors: unknown[] = [];
    const handler = implement(job, async (context) => {
      const { id } = context;
      await cancelJob(db, id);
      await db
        .transaction(async (tx) => {
          await tx.query("insert into books values ($1, 'never')", [id]);
          await context.completeIn(tx);
        })
        .catch((error: unknown) => void errors.push(error));
    });
    const worker = await startWorker([handler]);

    const { id } = await producer.enqueue(job, {});

    await untilState(db, id, "cancelled");
    await eventually(() => worker.health().activeJobs === 0, { withinMs: 30_000, what: "the end of the attempt" });
    expect(errors).toEqual([expect.any(LeaseLostError)]);
    expect(await books(id)).toEqual([]);
    expect((await getJob(db, id))!.state).toBe("cancelled");
  },
);

test("a result that does not fit its schema rolls the transaction back", async ({
  db,
  producer,
  queue,
  books,
  startWorker,
}) => {
  const job = defineJob("test.book", { queue, result: v.object({ pages: v.number() }) });
  const handler = implement(job, (context) =>
    db.transaction(async (tx) => {
      await tx.query("insert into books values ($1, 'never')", [context.id]);
      await context.completeIn(tx, { pages: "many" } as never);
      return { pages: 1 };
    }),
  );
  await startWorker([handler]);

  const { id } = await producer.enqueue(job, {});

  expect((await untilState(db, id, "dead")).error).toMatch(/the result of test\.book fails its schema/);
  expect(await books(id)).toEqual([]);
});

test(
  "of a result that is no JSON is kept what JSON makes of it, in the transaction too",
  { tags: ["FM-71"] },
  async ({ db, producer, queue, books, startWorker }) => {
    const job = defineJob("test.book", { queue });
    const results = [{ at: new Date(0), id: 5n }, "a\0b"];
    const handler = implement(job, (context) =>
      db.transaction(async (tx) => {
        await tx.query("insert into books values ($1, 'once')", [context.id]);
        await context.completeIn(tx, results[context.payload as number]);
      }),
    );
    await startWorker([handler]);

    const kept = [{ at: "1970-01-01T00:00:00.000Z", id: "5" }, null];
    for (const [place, result] of kept.entries()) {
      const { id } = await producer.enqueue(job, place);
      expect((await untilState(db, id, "completed")).result).toEqual(result);
      expect(await books(id)).toHaveLength(1);
    }
  },
);

for (const isolation of ["repeatable read", "serializable"]) {
  test(
    `in a transaction of ${isolation}, a job of one attempt completes although another of its key was parked meanwhile`,
    { tags: ["FM-85"] },
    async ({ db, producer, queue, startWorker }) => {
      const job = defineJob("test.key", { queue, key: () => "k", retry: { attempts: 1 } });
      const runs: bigint[] = [];
      let next: bigint | undefined;
      const handler = implement(job, async (context) => {
        const { id } = context;
        runs.push(id);
        const client = await db.pool.connect();
        try {
          await client.query(`begin isolation level ${isolation}`);
          await client.query("select count(*) from hark.jobs"); // takes the snapshot
          if (next === undefined) {
            next = (await producer.enqueue(job, "next")).id;
            await untilState(db, next, "parked");
          }
          await context.completeIn(client);
          await client.query("commit");
        } catch (error) {
          throw new Error("the transaction failed", { cause: error });
        } finally {
          client.release(true);
        }
      });
      await startWorker([handler], { queues: 2 });
      const { id } = await producer.enqueue(job, "first");

      await untilState(db, id, "completed");
      await untilState(db, next!, "completed");
      // The next job may be parked again while this one runs again.
      expect(runs.length).toBeGreaterThanOrEqual(3);
      expect(runs.slice(0, -1).every((run) => run === id)).toBe(true);
      expect(runs.at(-1)).toBe(next);
      const endings = (await getJob(db, id))!.attempts.map(({ ending }) => ending);
      expect(endings).toEqual(Array.from({ length: runs.length - 2 }, () => "interrupted"));
    },
  );
}
