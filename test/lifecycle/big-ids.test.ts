import { cancelJob, defineJob, getJob, requeueDeadJob, UnrecoverableError } from "@hark/core";
import { implement } from "@hark/worker";
import { expect } from "vitest";
import { test } from "../support/fixtures.ts";
import { untilState } from "../support/jobs.ts";

for (const start of [2n ** 31n - 3n, 2n ** 53n - 1n, 2n ** 63n - 20n]) {
  test(
    `jobs with ids from ${start} reach every end state`,
    { tags: ["FM-38"] },
    async ({ db, producer, queue, startWorker }) => {
      await db.pool.query(`alter sequence hark.jobs_id_seq restart with ${start}`);
      const job = defineJob("test.big", { queue, retry: { backoff: { base: 1 } } });
      const seen: bigint[] = [];
      const handler = implement(job, async ({ id, payload, attempt, signal }) => {
        seen.push(id);
        if (payload === "retry" && attempt === 1) throw new Error("once more");
        if (payload === "die") throw new UnrecoverableError("as told");
        if (payload === "hold") await new Promise((resolve) => signal.addEventListener("abort", resolve));
      });
      await startWorker([handler]);

      const kinds = ["plain", "retry", "die", "hold"];
      const jobs = await producer.enqueueMany(kinds.map((payload) => ({ job, payload })));
      const ids = jobs.map(({ id }) => id);
      expect(ids).toEqual([start, start + 1n, start + 2n, start + 3n]);

      await untilState(db, ids[0]!, "completed");
      await untilState(db, ids[1]!, "completed");
      await untilState(db, ids[2]!, "dead");
      await untilState(db, ids[3]!, "running");
      expect(await cancelJob(db, ids[3]!)).toBe("running");
      await untilState(db, ids[3]!, "cancelled");
      expect(await requeueDeadJob(db, ids[2]!)).toMatchObject({ id: ids[2], isRequeued: true });
      await untilState(db, ids[2]!, "dead");

      expect(seen.toSorted((one, other) => (one < other ? -1 : 1))).toEqual([
        ids[0],
        ids[1],
        ids[1],
        ids[2],
        ids[2],
        ids[3],
      ]);
      expect((await getJob(db, ids[1]!))!.attempts.map(({ jobId }) => jobId)).toEqual([ids[1], ids[1]]);
    },
  );
}
