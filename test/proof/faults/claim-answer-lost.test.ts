import { defineJob } from "@hark/core";
import { implement } from "@hark/worker";
import { expect } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { test } from "../../support/fixtures.ts";
import { untilState } from "../../support/jobs.ts";

/**
 * Delay of bytes in each direction. It leaves time to cut off the answer of a statement that is
 * already committed.
 */
const delayMs = 250;

test(
  "a job whose claim was committed but never answered is handed back and runs, and the attempt does not count",
  { tags: ["FM-25", "FM-30", "OWNED-7"] },
  async ({ db, databaseUrl, proxy, producer, queue, startWorker }) => {
    const job = defineJob("test.unanswered", { queue, retry: { attempts: 1 } });
    const starts: number[] = [];
    const handler = implement(job, ({ attempt }) => void starts.push(attempt));
    // The listener does not use the proxy: only the claim's connection fails.
    const worker = await startWorker([handler], {
      connectionString: proxy.url,
      listenUrl: databaseUrl,
      lease: "10m", // so long that no rescue comes in time
      pollInterval: "10m",
    });
    let losses = 0;
    worker.events.on("leaseLost", () => (losses += 1));

    await proxy.set({ delayMs });
    const { id } = await producer.enqueue(job, {});
    await untilState(db, id, "running");
    expect(starts).toEqual([]);
    await proxy.set("cut");
    await proxy.set("ok");

    const done = await untilState(db, id, "completed", { withinMs: 60_000 });
    expect(starts).toEqual([1]);
    expect(losses).toBe(0); // the worker noticed it without a rescue
    expect(done).toMatchObject({ attempt: 1, crashCount: 0, attempts: [{ ending: "interrupted", attempt: 1 }] });
  },
);

test(
  "an outcome that was committed but never answered is written once, and its slot is freed",
  { tags: ["FM-30", "OWNED-7"] },
  async ({ db, databaseUrl, proxy, producer, queue, startWorker }) => {
    const job = defineJob("test.unanswered", { queue });
    const gates = { succeed: Promise.withResolvers<void>(), fail: Promise.withResolvers<void>() };
    const handler = implement(job, async ({ payload }) => {
      await gates[payload as "succeed"].promise;
      if (payload === "fail") throw new Error("as told");
    });
    const worker = await startWorker([handler], {
      connectionString: proxy.url,
      listenUrl: databaseUrl,
      lease: "6s",
      pollInterval: "10m",
    });
    const settled: bigint[] = [];
    const refused: bigint[] = [];
    worker.events.on("settled", ({ id }) => settled.push(id)).on("refused", ({ id }) => refused.push(id));

    for (const kind of ["succeed", "fail"] as const) {
      const { id } = await producer.enqueue(job, kind);
      await untilState(db, id, "running");
      await eventually(() => worker.health().activeJobs === 1, { withinMs: 60_000, what: "the handler" });
      await proxy.set({ delayMs });
      gates[kind].resolve();
      const written = await untilState(db, id, kind === "succeed" ? "completed" : "scheduled");
      expect(settled).not.toContain(id);
      await proxy.set("cut");
      await proxy.set("ok");

      await eventually(() => worker.health().activeJobs === 0, { withinMs: 60_000, what: "the free slot" });
      expect(settled).toContain(id); // it sent the outcome again and learned that it was written
      const after = await untilState(db, id, written.state);
      expect(after.attempts).toEqual(written.attempts);
    }
    expect(refused).toEqual([]);
    const { rows } = await db.pool.query("select sum(completed)::int as completed from hark.stats where queue = $1", [
      queue,
    ]);
    expect(rows).toEqual([{ completed: 1 }]);
  },
);
