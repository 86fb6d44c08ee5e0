import { createLocks, type Queryable, type Lock, openDatabase } from "@hark/core";
import { statements } from "@hark/core/internal";
import type pg from "pg";
import { expect } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { test as base } from "../../support/fixtures.ts";
import { claim, completed, insertJob, registerWorker } from "../../support/jobs.ts";

/**
 * Sessions, one for each step that may have to wait for another. Those that a failed test leaves
 * behind are cut.
 */
const test = base.extend("session", { scope: "file" }, ({ databaseUrl, db }, { onCleanup }) => {
  const open = openDatabase({ connectionString: databaseUrl, maxConnections: 8 });
  const held = new Map<pg.PoolClient, number>();
  onCleanup(async () => {
    await db.pool.query("select pg_terminate_backend(pid) from unnest($1::int[]) pid", [[...held.values()]]);
    for (const client of held.keys()) client.release(true);
    await open.close();
  });
  return async () => {
    const client = await open.pool.connect();
    const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
    const { pid } = rows[0]!;
    held.set(client, pid);
    const giveBack = () => {
      held.delete(client);
      client.release();
    };
    return { client, pid, giveBack };
  };
});

const ways = {
  complete: (on: Queryable, job: statements.ClaimedJob) => statements.completeJobs(on, completed(job)),
  retry: (on: Queryable, { id, token }: statements.ClaimedJob) =>
    statements.retryJobs(on, statements.retriedOf([{ id, token, ending: "error", error: "", delayMs: 0, attempt: 1 }])),
  bury: (on: Queryable, { id, token }: statements.ClaimedJob) =>
    statements.buryJobs(on, statements.buriedOf([{ id, token, ending: "fatal", reason: "unrecoverable", error: "" }])),
  cancel: (on: Queryable, { id }: statements.ClaimedJob) => statements.cancelJob(on, { id }),
  rescue: async (on: Queryable) =>
    (await statements.rescueJobs(on, { limit: 10 })).filter(({ rescued }) => rescued > 0),
};

test(
  "of two that take a running job away at the same time one wins, and the other touches nothing",
  { tags: ["FM-20", "KEPT-2"] },
  async ({ db, queue, session }) => {
    for (const [firstName, first] of Object.entries(ways)) {
      for (const [secondName, second] of Object.entries(ways)) {
        for (const end of ["commit", "rollback"] as const) {
          const worker = await registerWorker(db);
          const id = await insertJob(db, { queue, key: "k", uniqueKey: "u" });
          const [job] = await claim(db, { queue, worker });
          await statements.leaveWorkers(db, { id: worker }); // so that a rescue may take it too

          const one = await session();
          const other = await session();
          await one.client.query("begin");
          const moved = await first(one.client, job!);
          const competing = second(other.client, job!);
          await doneOrBlocked(db.pool, competing, other.pid);
          await one.client.query(end);
          const movedToo = await competing;
          for (const { giveBack } of [one, other]) giveBack();

          const { rows } = await db.pool.query<{ places: number; lines: number }>(
            `select (select count(*) from hark.jobs where id = $1)::int + (select count(*) from hark.running_jobs where id = $1)::int
                + (select count(*) from hark.finished_jobs where id = $1)::int + (select count(*) from hark.dead_jobs where id = $1)::int
                  as places,
                  (select count(*) from hark.attempts where job_id = $1)::int as lines`,
            [id],
          );
          const what = `${firstName}, ${secondName} beside it, ${end}`;
          expect(moved, what).toHaveLength(1);
          expect(rows[0]!.places, what).toBe(1);
          // A rescue skips what another has locked, and would come back; all others wait, and go by
          // what they find then.
          if (end === "commit") expect(movedToo, what).toEqual([]);
          else if (secondName !== "rescue") expect(movedToo, what).toHaveLength(1);
          expect(rows[0]!.lines, what).toBeLessThanOrEqual(1);
          await db.pool.query(
            `delete from hark.jobs; delete from hark.running_jobs; delete from hark.finished_jobs; delete from hark.dead_jobs;
           delete from hark.unique_keys`,
          );
        }
      }
    }
  },
);

test(
  "an acquirer held up between drawing its fence and taking the lock is never granted less than one who came meanwhile",
  { tags: ["FM-48"] },
  async ({ db, session }) => {
    const pause = 4711;
    const [holdUp, slow, quick] = [await session(), await session(), await session()];
    await db.pool.query(`
    create function pause_if_slow(owner text) returns boolean language sql volatile as
      $$ select case when owner = 'slow' then pg_advisory_xact_lock(${pause}) is not null else true end $$;
    alter table hark.locks add constraint pause check (pause_if_slow(owner))`);
    try {
      await holdUp.client.query("select pg_advisory_lock($1)", [pause]);
      const late = createLocks({ db: slow.client, owner: "slow" }).acquire("page", { ttlMs: 60_000 });
      expect(await doneOrBlocked(db.pool, late, slow.pid)).toBe("blocked");

      const early = createLocks({ db: quick.client, owner: "quick" }).acquire("page", {
        ttlMs: 60_000,
        waitMs: 60_000,
      });
      const fences: bigint[] = [];
      const visit = async (granted: Promise<Lock>) => {
        await using lock = await granted;
        fences.push(lock.fence);
      };
      const visits = [visit(early), visit(late)];
      await doneOrBlocked(db.pool, visits[0]!, quick.pid);
      await holdUp.client.query("select pg_advisory_unlock($1)", [pause]);
      await Promise.all(visits);

      expect(fences).toHaveLength(2);
      expect(fences[1]).toBeGreaterThan(fences[0]!); // in the order in which they held
    } finally {
      for (const { giveBack } of [holdUp, slow, quick]) giveBack();
      await db.pool.query("alter table hark.locks drop constraint pause; drop function pause_if_slow");
    }
  },
);

/** Waits until a statement has its answer or stands behind another's lock. */
async function doneOrBlocked(pool: pg.Pool, running: Promise<unknown>, pid: number): Promise<"done" | "blocked"> {
  let isDone = false;
  void running.then(
    () => (isDone = true),
    () => (isDone = true),
  );
  return eventually(
    async () => {
      if (isDone) return "done";
      const { rows } = await pool.query<{ count: number }>("select cardinality(pg_blocking_pids($1)) as count", [pid]);
      return rows[0]!.count > 0 ? "blocked" : undefined;
    },
    { withinMs: 30_000, what: "the statement's end or its wait", everyMs: 2 },
  );
}
