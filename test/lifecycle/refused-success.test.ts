import { defineJob } from "@hark/core";
import { implement } from "@hark/worker";
import { expect } from "vitest";
import { eventually } from "../support/eventually.ts";
import { test } from "../support/fixtures.ts";
import { untilState } from "../support/jobs.ts";

test(
  "jobs whose success and failure the database refuses for a while are completed and tried again, each once",
  { tags: ["FM-72"] },
  async ({ db, producer, queue, startWorker }) => {
    const job = defineJob("test.refused", { queue, retry: { attempts: 2, backoff: { base: "1ms" } } });
    const runs = new Map<number, number>();
    const handler = implement(job, ({ payload, attempt }) => {
      const place = payload as number;
      runs.set(place, (runs.get(place) ?? 0) + 1);
      if (place % 2 === 1 && attempt === 1) throw new Error("fails once");
      return { place };
    });
    // As a trigger of the application whose own table is locked, or is being migrated.
    await db.pool.query(`
      create function hark.refuse_for_a_while() returns trigger language plpgsql as
        $$ begin raise exception 'not now'; end $$;
      create trigger refusing before insert on hark.finished_jobs for each row
        when (new.queue = '${queue}') execute function hark.refuse_for_a_while();
      create trigger refusing before insert on hark.attempts for each row
        when (new.queue = '${queue}') execute function hark.refuse_for_a_while();`);
    try {
      await startWorker([handler]);
      const jobs = await producer.enqueueMany(Array.from({ length: 10 }, (_, place) => ({ job, payload: place })));
      await eventually(() => runs.size === 10, { withinMs: 30_000, what: "ten runs" });
      const later = await producer.enqueue(job, 10); // others are not held up by them
      await eventually(() => runs.size === 11, { withinMs: 30_000, what: "an eleventh run" });

      await db.pool.query("drop function hark.refuse_for_a_while cascade");
      for (const [place, { id }] of [...jobs, later].entries()) {
        expect((await untilState(db, id, "completed")).result).toEqual({ place });
        expect(runs.get(place)).toBe(place % 2 === 1 ? 2 : 1);
      }
    } finally {
      await db.pool.query("drop function if exists hark.refuse_for_a_while cascade");
    }
  },
);
