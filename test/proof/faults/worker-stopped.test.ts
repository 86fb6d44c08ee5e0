import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { createLocks, getJob } from "@hark/core";
import { expect } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { test } from "../../support/fixtures.ts";
import { insertJob, untilState } from "../../support/jobs.ts";

const leaseMs = 2_500;

test(
  "a worker paused past its lease changes nothing and releases nothing when it resumes",
  { tags: ["FM-20", "OWNED-1"] },
  async ({ db, queue, ledger, startProcess }) => {
    const stale = await startProcess({ leaseMs, name: "stale" });
    const payloadJson = '{"does": "ignore", "ms": 400}'; // it resumes after the pause and returns a result
    const id = await insertJob(db, { queue, type: "test.task", payloadJson, key: "page" });
    const behind = await insertJob(db, { queue, type: "test.task", payloadJson: '{"ms": 600000}', key: "page" });
    await ledger.until("started", 1, 60_000, id);

    stale.kill("SIGSTOP");
    await startProcess({ leaseMs, name: "heir" });
    const done = await untilState(db, id, "completed", { withinMs: 60_000 });
    await ledger.until("started", 1, 60_000, behind); // the key was handed on
    const runningToken = ledger.of("started", behind)[0]!.token;
    stale.kill("SIGCONT");

    const [aborted] = await ledger.until("aborted", 1, 60_000, id);
    expect(aborted).toMatchObject({ worker: "stale", reason: "LEASE_LOST" });
    await eventually(() => ledger.of("ended", id).some(({ worker }) => worker === "stale"), {
      withinMs: 60_000,
      what: "its end",
    });
    await eventually(async () => (await stale.health()).activeJobs === 0, {
      withinMs: 60_000,
      what: "its outcome refused",
    });

    expect(done.attempts.map(({ attempt, ending }) => [attempt, ending])).toEqual([
      [1, "crashed"],
      [2, "completed"],
    ]);
    // The process lives, so it has not crashed. All else is as it was.
    const [crashed, completed] = done.attempts;
    const attempts = [{ ...crashed!, ending: "interrupted" }, completed!];
    await expect.poll(() => getJob(db, id), { timeout: 60_000 }).toEqual({ ...done, attempts });
    await expect.poll(async () => (await getJob(db, behind))?.crashCount, { timeout: 60_000 }).toBe(0);
    // The key now belongs to the next job, which still runs.
    const { rows } = await db.pool.query("select token from hark.running_jobs where queue = $1", [queue]);
    expect(rows).toEqual([{ token: runningToken }]);
    expect(ledger.of("started", behind)).toHaveLength(1);
    expect(ledger.of("aborted", behind)).toEqual([]);
  },
);

test(
  "a worker that nobody has declared dead during its pause goes on with its identity",
  { tags: ["FM-21"] },
  async ({ db, queue, ledger, startProcess }) => {
    const worker = await startProcess({ leaseMs, name: queue });
    const identity = async () =>
      (await db.pool.query<{ id: string }>("select id from hark.workers where name = $1 and dead_at is null", [queue]))
        .rows[0]?.id;
    const former = await identity();

    worker.kill("SIGSTOP");
    await eventually(
      async () =>
        (await db.pool.query("select from hark.workers where id = $1 and expires_at < clock_timestamp()", [former]))
          .rowCount === 1,
      { withinMs: 60_000, what: "the end of its lease" },
    );
    worker.kill("SIGCONT");

    const id = await insertJob(db, { queue, type: "test.task" });
    await untilState(db, id, "completed");
    expect(ledger.of("started", id)).toHaveLength(1);
    expect(await identity()).toBe(former);
  },
);

test(
  "a pause shorter than the lease has no effect",
  { tags: ["OWNED-4"] },
  async ({ db, queue, ledger, startProcess }) => {
    const worker = await startProcess({ leaseMs: 6_000, name: "paused" });
    await startProcess({ leaseMs: 6_000, name: "other" });
    const id = await insertJob(db, { queue, type: "test.task", payloadJson: '{"ms": 1500}' });
    await ledger.until("started", 1, 60_000, id);
    const holder = ledger.of("started", id)[0]!;

    // Either of the two may hold it.
    process.kill(holder.pid, "SIGSTOP");
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    process.kill(holder.pid, "SIGCONT");

    expect(await untilState(db, id, "completed")).toMatchObject({ attempt: 1, attempts: [] });
    expect(ledger.of("started", id)).toHaveLength(1);
    expect(worker.isAlive).toBe(true);
  },
);

test(
  "a lock holder paused past its lock's time cannot make its guarded write",
  { tags: ["FM-55", "FM-56", "STRICT-5"] },
  async ({ db, databaseUrl }) => {
    await db.pool.query("create table shelf (holder text, fence bigint)");
    const { child, say, nextFact } = lockHolder(databaseUrl);
    try {
      const { fence } = await nextFact<{ fence: string }>();
      child.kill("SIGSTOP");
      const locks = createLocks({ db });
      const heir = await locks.acquire("shelf", { ttlMs: 60_000, waitMs: 10_000 });
      await db.transaction(async (tx) => {
        await heir.guard(tx);
        await tx.query("insert into shelf values ('heir', $1)", [heir.fence]);
      });
      child.kill("SIGCONT");
      say("write");

      expect(await nextFact()).toEqual({ error: "LOCK_LOST", isAborted: true, isReleased: false });
      expect(heir.fence).toBeGreaterThan(BigInt(fence));
      expect((await db.pool.query("select holder from shelf")).rows).toEqual([{ holder: "heir" }]);
      expect(await heir.release()).toBe(true); // the stale release did not take it away
    } finally {
      child.kill("SIGKILL");
    }
  },
);

/** A process that holds a lock for a second, and writes under its guard on demand. */
function lockHolder(databaseUrl: string) {
  const child = fork(fileURLToPath(new URL("../../support/lock-holder.ts", import.meta.url)), [databaseUrl], {
    execArgv: [],
  });
  const facts: unknown[] = [];
  child.on("message", (fact) => facts.push(fact));
  return {
    child,
    say: (word: string) => void child.send(word),
    nextFact: async <Fact>(): Promise<Fact> => {
      await eventually(() => facts.length > 0, { withinMs: 60_000, what: "a message from the lock's holder" });
      return facts.shift() as Fact;
    },
  };
}
