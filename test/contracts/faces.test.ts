import { once } from "node:events";
import {
  cancelJob,
  type JobDetails,
  getJob,
  openDatabase,
  RetryAfterError,
  SnoozeError,
  UnrecoverableError,
} from "@hark/core";
import { createProducer } from "@hark/producer";
import { describe, expect, inject } from "vitest";
import { test as base } from "../setup/fixtures.ts";
import { eventually } from "../support/eventually.ts";
import { type Face, faces, product, type Run } from "../support/faces.ts";
import { makeDue } from "../support/pass-time.ts";

/*
 * The behaviour that a job may rely on in both ways to run it: the same tests run on a worker's
 * handlers and on callers of a PostgresQueue.
 */

const shop = "https://shop.example";
const within = { withinMs: 20_000 };

/** URL jobs share one queue, so each test has a database of its own. */
const test = base
  .extend("ownUrl", ({ server }) => server.createDatabase(undefined, { template: inject("template") }))
  .extend("db", ({ ownUrl }, { onCleanup }) => {
    const db = openDatabase({ connectionString: ownUrl });
    onCleanup(() => db.close());
    return db;
  })
  .extend("add", ({ db }) => {
    const producer = createProducer({ database: db });
    return async (path: string, options: { priority?: number } = {}) =>
      (await producer.enqueue(product, { target_url: `${shop}${path}` }, options)).id;
  })
  .extend("open", ({ ownUrl }, { onCleanup }) => {
    const stops: (() => Promise<void>)[] = [];
    onCleanup(async () => void (await Promise.all(stops.map((stop) => stop()))));
    return async (face: Face, run: Run, { slots = 1, leaseMs = 10_000 } = {}) => {
      const stop = await face({ connectionString: ownUrl, slots, leaseMs, run });
      stops.push(stop);
      return stop;
    };
  })
  .extend("untilState", ({ db }) => async (id: bigint, state: JobDetails["state"]) => {
    const inState = async () => {
      const details = await getJob(db, id);
      return details?.state === state ? details : undefined;
    };
    return eventually(inState, { ...within, what: `job ${id} being ${state}` });
  });

describe.for(Object.entries(faces))("%s", ([, face]) => {
  test("a job that succeeds is completed, with its result", async ({ add, open, untilState }) => {
    const id = await add("/1");
    await open(face, async ({ target_url }) => ({ read: target_url }));

    expect(await untilState(id, "completed")).toMatchObject({ attempt: 1, result: { read: `${shop}/1` } });
  });

  test("an error leads to a retry after the backoff, and after the last attempt to a dead letter", async ({
    add,
    db,
    open,
    untilState,
  }) => {
    const id = await add("/1");
    const attempts: number[] = [];
    await open(face, async (job) => {
      attempts.push(job.attempts);
      throw new Error(`no price, ${job.attempts}`);
    });

    for (const attempt of [1, 2]) {
      const retry = await eventually(async () => {
        const details = await getJob(db, id);
        return details?.state === "scheduled" && details.attempt === attempt ? details : undefined;
      }, within);
      const waitMs = retry.runAt.getTime() - retry.attempts.at(-1)!.finishedAt.getTime();
      expect(waitMs).toBeGreaterThan(2 ** (attempt - 1) * 900 - 50);
      expect(waitMs).toBeLessThan(2 ** (attempt - 1) * 1_100 + 50);
      await makeDue(db, id);
    }

    expect(await untilState(id, "dead")).toMatchObject({
      reason: "attempts_exhausted",
      error: expect.stringContaining("no price, 3") as string,
    });
    expect(attempts).toEqual([1, 2, 3]);
  });

  test("RetryAfterError, SnoozeError and UnrecoverableError decide what happens next", async ({
    add,
    open,
    untilState,
  }) => {
    const errors: Record<string, Error> = {
      "/later": new RetryAfterError(60_000, "busy"),
      "/snooze": new SnoozeError(60_000),
      "/gone": new UnrecoverableError("404"),
    };
    const [later, snoozed, gone] = [await add("/later"), await add("/snooze"), await add("/gone")];
    await open(face, async ({ target_url }) => {
      throw errors[target_url.slice(shop.length)]!;
    });

    expect(await untilState(later, "scheduled")).toMatchObject({ attempt: 1, attempts: [{ ending: "retry_after" }] });
    expect(await untilState(snoozed, "scheduled")).toMatchObject({ attempt: 0 });
    expect(await untilState(gone, "dead")).toMatchObject({ reason: "unrecoverable", attempt: 1 });
  });

  test("the signal of a cancelled job is aborted, and the job stays cancelled whatever it returns", async ({
    add,
    db,
    open,
  }) => {
    const id = await add("/1");
    const reason = Promise.withResolvers<unknown>();
    await open(face, async ({ signal }) => {
      await cancelJob(db, id);
      if (!signal.aborted) await once(signal, "abort");
      reason.resolve(signal.reason);
      return "done all the same";
    });

    expect(await reason.promise).toMatchObject({ code: "JOB_CANCELLED" });
    await add("/2");
    expect(await getJob(db, id)).toMatchObject({ state: "cancelled" });
  });

  test("after a lost lease the former owner writes nothing", async ({ add, db, open, untilState }) => {
    const id = await add("/1");
    const isRunAgain = Promise.withResolvers<void>();
    const hasReturned = Promise.withResolvers<void>();
    let runs = 0;
    const reasons: unknown[] = [];
    await open(
      face,
      async ({ signal }) => {
        runs += 1;
        if (runs > 1) {
          isRunAgain.resolve();
          await hasReturned.promise;
          return "fresh";
        }
        await db.pool.query("update hark.workers set dead_at = clock_timestamp()");
        if (!signal.aborted) await once(signal, "abort");
        reasons.push(signal.reason);
        await isRunAgain.promise;
        hasReturned.resolve();
        return "stale";
      },
      { slots: 2, leaseMs: 1_000 },
    );

    expect(await untilState(id, "completed")).toMatchObject({ result: "fresh" });
    // The renewal finds that the lease is lost, or the rescuer that the claim is gone: the first of
    // the two aborts the signal.
    expect(reasons).toMatchObject([{ code: "LEASE_LOST" }]);
  });

  test("two jobs of one URL never run at the same time, and a job of another URL does not wait for them", async ({
    add,
    open,
    untilState,
  }) => {
    const ids = [await add("/1"), await add("/1"), await add("/2")];
    const isOtherRunning = Promise.withResolvers<void>();
    const running: string[] = [];
    const overlaps: string[] = [];
    await open(
      face,
      async ({ target_url }) => {
        if (running.includes(target_url)) overlaps.push(target_url);
        running.push(target_url);
        if (target_url === `${shop}/2`) isOtherRunning.resolve();
        else await isOtherRunning.promise;
        running.splice(running.indexOf(target_url), 1);
      },
      { slots: 2 },
    );

    for (const id of ids) await untilState(id, "completed");
    expect(overlaps).toEqual([]);
  });

  test("the most urgent job comes first, then the oldest", async ({ add, open, untilState }) => {
    const ids = [];
    for (const [page, priority] of [0, 5, 0, 5].entries()) ids.push(await add(`/${page}`, { priority }));
    const order: string[] = [];
    await open(face, async ({ target_url }) => void order.push(target_url.at(-1)!));

    for (const id of ids) await untilState(id, "completed");
    expect(order).toEqual(["1", "3", "0", "2"]);
  });

  test("an invalid payload makes a dead letter without a run, and the next job runs", async ({
    add,
    db,
    open,
    untilState,
  }) => {
    const { rows } = await db.pool.query<{ id: bigint }>(
      `select hark.enqueue('product', '{"target_url": "nowhere"}') as id`,
    );
    const next = await add("/1");
    const runs: string[] = [];
    await open(face, async ({ id }) => void runs.push(id));

    await untilState(next, "completed");
    expect(await untilState(rows[0]!.id, "dead")).toMatchObject({ reason: "invalid_payload" });
    expect(runs).toEqual([String(next)]);
  });

  test("closing hands back running jobs, without using up an attempt", async ({ add, db, open }) => {
    const id = await add("/1");
    const isRunning = Promise.withResolvers<void>();
    const close = await open(face, async ({ signal }) => {
      isRunning.resolve();
      await once(signal, "abort");
      throw signal.reason;
    });
    await isRunning.promise;

    await close();

    expect(await getJob(db, id)).toMatchObject({ state: "ready", attempt: 0 });
    expect((await db.pool.query("select * from hark.workers")).rowCount).toBe(0);
  });

  test("an idle one starts a job as soon as it is committed, without a poll", async ({ add, db, open, untilState }) => {
    await open(face, async () => {});
    const listening =
      "select 1 from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())";
    await eventually(async () => ((await db.pool.query(listening)).rowCount ?? 0) > 0, within);
    const id = await add("/1");

    await untilState(id, "completed");
  });
});
