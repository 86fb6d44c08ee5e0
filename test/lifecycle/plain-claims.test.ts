import { defineJob } from "@hark/core";
import { implement } from "@hark/worker";
import pg from "pg";
import { expect, onTestFinished, vi } from "vitest";
import { codeName } from "../support/count-statements.ts";
import { test } from "../support/fixtures.ts";
import { countJobs, untilState } from "../support/jobs.ts";

/** Records the names of the statements by which this process claims, from now on. */
function claimsFromNow(): string[] {
  const names: string[] = [];
  // oxlint-disable-next-line typescript/unbound-method -- it is called with its own `this`
  const query = pg.Client.prototype.query;
  const spy = vi.spyOn(pg.Client.prototype, "query").mockImplementation(function (this: pg.Client, ...args: unknown[]) {
    const name = codeName((args[0] as { name?: string }).name ?? "");
    if (/claim-(plain-|contended-)?jobs$/.test(name)) names.push(name);
    return query.apply(this, args as never) as never;
  });
  onTestFinished(() => spy.mockRestore());
  return names;
}

test(
  "after a claim with a keyed job, a worker does not start with a claim of plain jobs until it finds plain ones again",
  { tags: ["FM-47"] },
  async ({ db, producer, queue, startWorker }) => {
    const job = defineJob("test.kinds", { queue });
    await startWorker([implement(job, () => {})]);
    const names = claimsFromNow();
    const claimsOf = async (options: { key?: string }) => {
      names.length = 0;
      const { id } = await producer.enqueue(job, {}, options);
      await untilState(db, id, "completed");
      return new Set(names.map((name) => name.replace("-contended", ""))); // as other workers live or not
    };

    expect(await claimsOf({})).toEqual(new Set(["claim-plain-jobs"]));
    expect(await claimsOf({ key: "k" })).toContain("claim-jobs");
    expect(await claimsOf({ key: "k" })).toEqual(new Set(["claim-jobs"]));
    expect(await claimsOf({})).toContain("claim-jobs");
    expect(await claimsOf({})).toEqual(new Set(["claim-plain-jobs"]));
  },
);

test(
  "if jobs come fast but most slots stay free, claims settle no jobs",
  { tags: ["FM-41"] },
  async ({ db, producer, queue, startWorker }) => {
    const job = defineJob("test.stream", { queue });
    const jobs = 600; // fewer than slots, so that every claim gets less than it asks for
    await startWorker([implement(job, () => {})], { queues: { [queue]: 1_000 } });
    const names = claimsFromNow();

    for (let sent = 0; sent < jobs; sent += 1) await producer.enqueue(job, {});

    await expect.poll(() => countJobs(db, queue), { timeout: 30_000 }).toEqual({ completed: jobs });
    expect(new Set(names)).toEqual(new Set(["claim-plain-jobs"]));
  },
);
