import { defineJob } from "@hark/core";
import { implement } from "@hark/worker";
import { expect } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { test } from "../../support/fixtures.ts";
import { untilState } from "../../support/jobs.ts";
import { Proxy } from "../campaigns/network/proxy.ts";

/**
 * The fault campaign found this (seed 3): a worker learned of its lost lease before the answer to
 * its last claim arrived.
 */
test(
  "a job whose claim is answered after the lease was lost is not started under that claim",
  { tags: ["FM-20", "OWNED-7"] },
  async ({ db, databaseUrl, producer, queue, startWorker }) => {
    const { hostname, port } = new URL(databaseUrl);
    await using proxy = await Proxy.start(() => ({ host: hostname, port: Number(port) }));
    const job = defineJob("test.late", { queue });
    const begun: string[] = [];
    const handler = implement(job, ({ token }) => void begun.push(token));
    const worker = await startWorker([handler], {
      connectionString: proxy.urlOf(databaseUrl),
      listenUrl: databaseUrl,
      lease: "1500ms",
    });
    const losses: number[] = [];
    worker.events.on("leaseLost", () => losses.push(performance.now()));

    await proxy.set({ kind: "delay", only: "hark worker", ms: 1_500 }); // claims and their answers, but not lease renewals
    const { id } = await producer.enqueue(job, {});
    await untilState(db, id, "running");
    const { rows } = await db.pool.query<{ token: string }>(
      `with dead as (update hark.workers set dead_at = clock_timestamp() where dead_at is null
                      and id = (select worker from hark.running_jobs where id = $1))
     select token from hark.running_jobs where id = $1`,
      [id],
    );
    await eventually(() => losses.length > 0, { withinMs: 10_000, what: "the news of the lost lease" });
    expect(begun).toEqual([]); // otherwise the answer came first, and this test shows nothing

    await eventually(() => begun.length > 0, { withinMs: 60_000, what: "a run under another claim" });
    await untilState(db, id, "completed");
    expect(begun).not.toContain(rows[0]!.token);
  },
);
