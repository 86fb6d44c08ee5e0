import { RetryAfterError, SnoozeError, UnrecoverableError } from "@hark/core";
import { expect } from "vitest";
import { eventually } from "../support/eventually.ts";
import { done, test } from "../support/job-manager.ts";

const url = "https://shop.example/books/1";
const within = { withinMs: 55_000 };

test("a job that fails in every attempt becomes a dead letter with the processor's errors, and can be requeued", async ({
  manage,
  sql,
}) => {
  let isMended = false;
  const attempts: number[] = [];
  const manager = await manage(
    (job) => {
      attempts.push(job.attempts);
      return isMended ? done : { success: false, itemsProcessed: 0, errors: ["no price", "no title"], duration: 1 };
    },
    { retryAttempts: 2 },
  );
  const id = await manager.addJob({ type: "product", target_url: url, metadata: { page: 3 } });

  await eventually(() => attempts.length === 1, within);
  const retry = await eventually(
    async () => (await sql.query("select * from hark.jobs where state = 'scheduled'")).rows[0],
    within,
  );
  await sql.query("update hark.jobs set run_at = clock_timestamp()");
  await eventually(async () => (await manager.getStats()).failed === 1, within);

  expect(retry).toMatchObject({ attempt: 1, max_attempts: 2 });
  expect(await manager.getDeadLetterJobs(10)).toEqual([
    {
      id,
      type: "product",
      target_url: url,
      priority: 3,
      metadata: { page: 3 },
      attempts: 2,
      max_attempts: 2,
      reason: "attempts_exhausted",
      last_error: "no price; no title",
      error: "JobFailedError: no price; no title",
      failed_at: expect.any(Date),
      created_at: expect.any(Date),
    },
  ]);

  isMended = true;
  expect(await manager.requeueDeadLetterJob(id)).toEqual({ id, type: "product" });
  await eventually(async () => (await manager.getStats()).completed === 1, within);
  expect(attempts).toEqual([1, 2, 1]);
  expect((await manager.getStats()).failed).toBe(0);
});

test("dead letters are requeued by their position in the list, oldest first", async ({ manage }) => {
  const manager = await manage(() => {
    throw new UnrecoverableError("gone");
  });
  const ids: string[] = [];
  for (const page of [1, 2, 3]) {
    ids.push(await manager.addJob({ type: "category", target_url: `${url}?page=${page}` }));
    await eventually(async () => (await manager.getStats()).failed === page, within);
  }
  await manager.stop();
  await manager.initialize();
  expect((await manager.getDeadLetterJobs()).map(({ id }) => id)).toEqual(ids);

  const requeued = await manager.requeueDeadLetterJob(1);

  expect(requeued.id).toBe(ids[1]);
  expect((await manager.getDeadLetterJobs(1)).map(({ id }) => id)).toEqual([ids[0]]);
  await expect(manager.requeueDeadLetterJob(2)).rejects.toMatchObject({ code: "DEAD_LETTER_NOT_FOUND" });
  await expect(manager.requeueDeadLetterJob(ids[1]!)).rejects.toMatchObject({ code: "DEAD_LETTER_NOT_FOUND" });
  for (const wrong of [-1, 1.5, 200, "", "x", "0", "9223372036854775808", null]) {
    await expect(manager.requeueDeadLetterJob(wrong as never)).rejects.toMatchObject({ code: "INVALID_OPTIONS" });
  }
});

test("a dead letter whose unique key is taken stays one", async ({ manage }) => {
  const manager = await manage(() => {
    throw new UnrecoverableError("gone");
  });
  const id = await manager.addJob({ type: "product", target_url: url, unique_key: "crawl 1" });
  await eventually(async () => (await manager.getStats()).failed === 1, within);
  await manager.addJob({ type: "product", target_url: url, unique_key: "crawl 1", delay: 60_000 });

  await expect(manager.requeueDeadLetterJob(id)).rejects.toMatchObject({ code: "UNIQUE_KEY_TAKEN" });
  expect((await manager.getStats()).failed).toBe(1);
});

test("errors that decide what happens next keep their meaning when a processor throws them", async ({
  manage,
  sql,
}) => {
  const manager = await manage(({ metadata }) => {
    if (metadata.throws === "retry") throw new RetryAfterError(60_000, "busy");
    if (metadata.throws === "snooze") throw new SnoozeError(60_000);
    if (metadata.throws === "fatal") throw new UnrecoverableError("no such page");
    throw new Error("plain");
  });
  for (const throws of ["retry", "snooze", "fatal", "error"]) {
    await manager.addJob({ type: "product", target_url: `${url}/${throws}`, metadata: { throws } });
  }
  const { rows } = await eventually(async () => {
    const found = await sql.query(
      `select payload->'metadata'->>'throws' as throws, attempt,
              round(extract(epoch from run_at - clock_timestamp()))::int as due_in
         from hark.jobs where state = 'scheduled' order by 1`,
    );
    return found.rowCount === 3 && (await manager.getStats()).failed === 1 ? found : undefined;
  }, within);

  expect(rows).toEqual([
    { throws: "error", attempt: 1, due_in: 1 },
    { throws: "retry", attempt: 1, due_in: 60 },
    { throws: "snooze", attempt: 0, due_in: 60 },
  ]);
  expect(await manager.getDeadLetterJobs()).toMatchObject([
    { reason: "unrecoverable", error: expect.stringContaining("no such page") },
  ]);
});

test("an invalid processor result makes a dead letter that says so", async ({ manage }) => {
  const manager = await manage((() => ({ ok: true })) as never);

  await manager.addJob({ type: "navigation", target_url: url });
  await eventually(async () => (await manager.getStats()).failed === 1, within);

  expect(await manager.getDeadLetterJobs()).toMatchObject([
    {
      reason: "unrecoverable",
      error: expect.stringContaining("must return { success, itemsProcessed, errors, duration }"),
    },
  ]);
});

test("dead letters are deleted by position or id, and pruned by age and type, and the counts follow", async ({
  manage,
  sql,
}) => {
  const manager = await manage(() => {
    throw new UnrecoverableError("gone");
  });
  const ids = await manager.addJobs(
    [1, 2, 3, 4, 5].map((page) => ({ type: page === 5 ? "category" : "product", target_url: `${url}?page=${page}` })),
  );
  await eventually(async () => (await manager.getStats()).failed === 5, within);
  const [first] = await manager.getDeadLetterJobs(1);

  expect(await manager.deleteDeadLetterJob(0)).toEqual({ id: first!.id, type: first!.type });
  await expect(manager.deleteDeadLetterJob(first!.id)).rejects.toMatchObject({ code: "DEAD_LETTER_NOT_FOUND" });
  const other = ids.find((id) => id !== first!.id && id !== ids[4])!;
  expect(await manager.deleteDeadLetterJob(other)).toEqual({ id: other, type: "product" });
  expect((await manager.getStats()).failed).toBe(3);

  await sql.query("update hark.dead_jobs set finished_at = finished_at - interval '2 hours' where id <> $1", [
    ids.findLast((id) => id !== first!.id && id !== other && id !== ids[4]),
  ]);
  expect(await manager.pruneDeadLetterJobs({ olderThan: 3_600_000, type: "category" })).toBe(1);
  expect(await manager.pruneDeadLetterJobs({ olderThan: 3_600_000 })).toBe(1);
  expect((await manager.getStats()).failed).toBe(1);
  expect(await manager.pruneDeadLetterJobs({ olderThan: 0 })).toBe(1);

  expect(await manager.getStats()).toMatchObject({ queued: 0, running: 0, completed: 0, failed: 0 });
  expect((await sql.query("select from hark.dead_jobs")).rowCount).toBe(0);
  for (const wrong of [{}, { olderThan: -1 }, { olderThan: "1d" }, { olderThan: 0, types: "product" }])
    await expect(manager.pruneDeadLetterJobs(wrong as never)).rejects.toMatchObject({ code: "INVALID_OPTIONS" });
});
