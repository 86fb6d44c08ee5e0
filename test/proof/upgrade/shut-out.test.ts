import { defineJob, schemaVersion } from "@hark/core";
import { implement } from "@hark/worker";
import { expect } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { test } from "../../support/fixtures.ts";
import { untilState } from "../../support/jobs.ts";
import { recordingLogger } from "../../support/recording-logger.ts";

/* test/upgrade/newer-schema.test.ts shows code that a newer schema does not let start. */

test(
  "a running worker that a newer schema shuts out claims no more jobs, reports it once, and finishes its jobs",
  { tags: ["FM-44"] },
  async ({ db, producer, queue, startWorker, databaseUrl }) => {
    const job = defineJob("test.plain", { queue });
    const ended = Promise.withResolvers<void>();
    const logger = recordingLogger();
    const worker = await startWorker([implement(job, () => ended.promise)], { logger });
    const running = await producer.enqueue(job, {});
    await untilState(db, running.id, "running");

    const theirs = (await schemaVersion(databaseUrl)).wanted + 1;
    await db.pool.query(
      "insert into hark.migrations (version, name, hash, oldest_code) values ($1, 'from_later', 'x', $1)",
      [theirs],
    );
    const reason = () => worker.health().reasons.find((text) => text.includes("no longer claims"));
    await eventually(reason, { withinMs: 60_000, what: "the worker's report of the newer schema", everyMs: 50 });
    const waiting = await producer.enqueue(job, {});
    ended.resolve();

    await untilState(db, running.id, "completed");
    expect(reason()).toContain(`lets in code from version ${theirs} on`);
    await worker.stop();
    await untilState(db, waiting.id, "ready");
    expect(logger.lines.filter(({ level }) => level === "error").map(({ message }) => message)).toEqual([
      "the schema needs newer code: this worker no longer claims",
    ]);
  },
);
