import { getJob } from "@hark/core";
import { expect } from "vitest";
import { unexplainedStarts } from "../../support/explain.ts";
import { test } from "../../support/fixtures.ts";
import { insertJob, insertJobs, untilState } from "../../support/jobs.ts";

const options = { leaseMs: 2_000, concurrency: 4 } as const;
const die = { type: "test.task", payloadJson: '{"does": "die"}', maxAttempts: 10 } as const;

test(
  "a job that crashes its worker three times is buried, however many attempts it has left",
  { tags: ["FM-24"] },
  async ({ db, queue, ledger, startProcess }) => {
    const poison = await insertJob(db, { queue, ...die });

    for (let deaths = 1; deaths <= 3; deaths += 1) {
      const victim = await startProcess({ ...options, awaitReady: false }); // it may crash before it listens
      expect(await victim.exited).toBe("SIGKILL");
      expect(ledger.of("started", poison)).toHaveLength(deaths);
    }
    await startProcess(options);

    const dead = await untilState(db, poison, "dead", { withinMs: 60_000 });
    expect(dead).toMatchObject({ reason: "worker_died", attempt: 3, crashCount: 3 });
    expect(dead.attempts.map(({ ending }) => ending)).toEqual(["crashed", "crashed", "crashed"]);
    expect(ledger.of("started", poison)).toHaveLength(3);
    expect(await unexplainedStarts(db, ledger)).toEqual([]);
  },
);

test(
  "jobs that ran beside a poison job are not buried, and each loses two attempts at most",
  { tags: ["FM-24"] },
  async ({ db, queue, ledger, startProcess }) => {
    const long = { queue, type: "test.task", payloadJson: '{"ms": 1000}', maxAttempts: 10 };
    const neighbours = await insertJobs(db, [long, long, long]);
    const poison = await insertJob(db, { queue, ...die });

    while ((await getJob(db, poison))?.state !== "dead") {
      const worker = await startProcess({ ...options, awaitReady: false });
      await Promise.race([worker.exited, untilState(db, poison, "dead", { withinMs: 60_000 })]);
    }
    await startProcess(options);

    for (const id of neighbours) {
      const { attempt } = await untilState(db, id, "completed", { withinMs: 20_000 });
      expect(attempt).toBeLessThanOrEqual(3);
    }
    expect(ledger.of("started", poison)).toHaveLength(3);
  },
);

// FM-53: a memory limit ends a process like a crash. Here Node's limit stands for the kernel's.
test(
  "a job that fills its worker's memory three times is buried, and the jobs beside it run again",
  { tags: ["FM-24", "FM-53"] },
  async ({ db, queue, ledger, startProcess }) => {
    const limited = { ...options, heapMb: 64, awaitReady: false };
    const held = {
      queue,
      type: "test.task",
      payloadJson: '{"does": "hold", "ms": 600000, "times": 2}',
      maxAttempts: 10,
    };
    const neighbours = await insertJobs(db, [held, held]);
    const glutton = await insertJob(db, { queue, ...die, payloadJson: '{"does": "exhaust"}' });

    while ((await getJob(db, glutton))?.state !== "dead") {
      const worker = await startProcess(limited);
      await Promise.race([
        worker.exited.then((ending) => expect(ending).toBe("SIGABRT")),
        untilState(db, glutton, "dead", { withinMs: 60_000 }),
      ]);
    }

    const dead = await untilState(db, glutton, "dead");
    expect(dead).toMatchObject({ reason: "worker_died", attempt: 3, crashCount: 3 });
    expect(ledger.of("started", glutton)).toHaveLength(3);
    for (const id of neighbours) await untilState(db, id, "completed", { withinMs: 60_000 });
    expect(await unexplainedStarts(db, ledger)).toEqual([]);
  },
);
