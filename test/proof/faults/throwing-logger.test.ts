import { defineJob, type Logger } from "@hark/core";
import { implement } from "@hark/worker";
import { expect } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { test } from "../../support/fixtures.ts";
import { countJobs, insertJobs } from "../../support/jobs.ts";

test(
  "a logger that throws does not end a loop, and the failed step is tried again",
  { tags: ["FM-57"] },
  async ({ db, queue, startWorker }) => {
    const lost: string[] = [];
    const write = (_facts: object, message: string) => {
      lost.push(message);
      throw new Error("the disk is full");
    };
    const logger: Logger = { debug: write, info: write, warn: write, error: write, child: () => logger };
    await startWorker([implement(defineJob("test.plain", { queue }), () => {})], { logger, pollInterval: "200ms" });

    await db.pool.query("alter table hark.jobs rename to hidden_jobs");
    await eventually(() => lost.includes("step failed, will try again"), { withinMs: 30_000, what: "a failed step" });
    await db.pool.query("alter table hark.hidden_jobs rename to jobs");

    await insertJobs(db, [{ queue, type: "test.plain", payloadJson: "{}" }]);
    await expect.poll(() => countJobs(db, queue), { timeout: 60_000 }).toEqual({ completed: 1 });
  },
);
