import { defineJob } from "@hark/core";
import { implement } from "@hark/worker";
import { expect } from "vitest";
import * as z from "zod";
import { test } from "../support/fixtures.ts";
import { untilState } from "../support/jobs.ts";

test("a job whose stored payload fails its schema goes straight to the dead letters, unchanged", async ({
  db,
  queue,
  startWorker,
}) => {
  const job = defineJob("test.strict", { queue, payload: z.object({ url: z.url(), depth: z.number().default(0) }) });
  const ran: unknown[] = [];
  await startWorker([implement(job, ({ payload }) => void ran.push(payload))]);

  // Enqueued from another language: hark.enqueue knows no schemas.
  const { rows } = await db.pool.query<{ id: bigint }>(
    `select hark.enqueue('test.strict', payload, queue => $1) as id
       from unnest(array['{"url": "no url"}', '{"url": "https://shop.example/"}', 'null']::jsonb[]) payload`,
    [queue],
  );

  const [wrong, right, nothing] = rows.map(({ id }) => id);
  expect(await untilState(db, wrong!, "dead")).toMatchObject({
    reason: "invalid_payload",
    payload: { url: "no url" },
    error: expect.stringMatching(/InvalidPayloadError.*url: /),
    attempt: 1,
    attempts: [{ ending: "fatal" }],
  });
  expect(await untilState(db, nothing!, "dead")).toMatchObject({ reason: "invalid_payload" });
  await untilState(db, right!, "completed");
  expect(ran).toEqual([{ url: "https://shop.example/", depth: 0 }]);
});

test("an exception in a schema is an error like any other: the job is retried", async ({
  db,
  producer,
  queue,
  startWorker,
}) => {
  const broken = defineJob("test.broken", {
    queue,
    payload: z.unknown().refine(() => {
      if (isBroken) throw new Error("the schema's own database is down");
      return true;
    }),
    retry: { backoff: { base: 1 } },
  });
  let isBroken = false;
  const { id } = await producer.enqueue(broken, {});
  isBroken = true;

  await startWorker([implement(broken, () => {})]);

  expect(await untilState(db, id, "dead")).toMatchObject({
    reason: "attempts_exhausted",
    attempt: 3,
    error: expect.stringContaining("the schema's own database is down"),
  });
});
