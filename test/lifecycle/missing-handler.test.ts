import { defineJob, getJob } from "@hark/core";
import { implement } from "@hark/worker";
import { expect } from "vitest";
import { eventually } from "../support/eventually.ts";
import { test } from "../support/fixtures.ts";
import { untilState } from "../support/jobs.ts";
import { recordingLogger } from "../support/recording-logger.ts";

test("a job without a handler stays ready, causes a warning, and runs once there is a handler", async ({
  db,
  producer,
  queue,
  startWorker,
}) => {
  const known = defineJob("test.known", { queue });
  const unknown = defineJob("test.unknown", { queue, priority: 100 });
  const logger = recordingLogger();
  const orphan = await producer.enqueue(unknown, {});

  await startWorker([implement(known, () => {})], { logger, queues: { [queue]: 1 } });
  const other = await producer.enqueue(known, {});

  await untilState(db, other.id, "completed"); // the orphan does not block it
  const warning = await eventually(
    () => logger.lines.find(({ level, facts }) => level === "warn" && facts["type"] === "test.unknown"),
    { withinMs: 30_000, what: "the warning" },
  );
  expect(warning.facts).toMatchObject({ queue, known: ["test.known"] });
  expect(warning.message).toMatch(/wait for a handler: add implement\(\)/);
  expect(await getJob(db, orphan.id)).toMatchObject({ state: "ready", attempt: 0, attempts: [] });

  await startWorker([implement(unknown, () => {})]);
  await untilState(db, orphan.id, "completed");
});
