import { defineJob } from "@hark/core";
import { implement } from "@hark/worker";
import { expect } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { lostOrDoubled } from "../../support/explain.ts";
import { test } from "../../support/fixtures.ts";
import { countJobs, insertJobs, untilState } from "../../support/jobs.ts";
import { startProxy } from "../../support/proxy.ts";

/** A statement's deadline in core, in ms. After it the connection is closed. */
const deadlineMs = 10_000;

// FM-07: a silent connection is never used again.
test(
  "a worker whose connections all fell silent claims and settles on new ones, and keeps no more than before",
  { tags: ["FM-07"] },
  async ({ db, databaseUrl, queue, startWorker }) => {
    await using proxy = await startProxy(databaseUrl);
    const job = defineJob("test.plain", { queue });
    const starts = new Map<bigint, number>();
    const handler = implement(job, async ({ id }) => {
      starts.set(id, (starts.get(id) ?? 0) + 1);
      await new Promise((resolve) => setTimeout(resolve, 5));
    });
    const worker = await startWorker([handler], { connectionString: proxy.url, lease: "60s", pollInterval: 1_000 });
    const connections = proxy.open;
    const ids = await insertJobs(
      db,
      Array.from({ length: 3_000 }, () => ({ queue })),
    );
    await eventually(() => starts.size > 50, { withinMs: 30_000, what: "a worker under load", everyMs: 1 });

    await proxy.set("hole");
    await proxy.set("ok"); // for new connections; the old ones stay silent
    const swallowedAt = performance.now();
    const healed = await insertJobs(db, [{ queue }, { queue }]);

    for (const id of healed) await untilState(db, id, "completed", { withinMs: 60_000 });
    await expect.poll(() => countJobs(db, queue), { timeout: 60_000 }).toEqual({ completed: ids.length + 2 });
    // One deadline, the rest after a failure, and time for a busy machine. Not one deadline for
    // each socket of the pool.
    expect(performance.now() - swallowedAt).toBeLessThan(deadlineMs + 8_000);
    expect(await lostOrDoubled(db, [...ids, ...healed])).toEqual([]);
    await eventually(() => worker.health().isHealthy, { withinMs: 30_000, what: "good health" });
    await eventually(() => proxy.open <= connections + 1, {
      withinMs: 30_000,
      what: "the end of the silent sockets",
    });
    // The lease was kept, so no job was rescued. Lost claims and outcomes were sent again.
    expect([...starts.values()].filter((count) => count > 1)).toEqual([]);
  },
);
