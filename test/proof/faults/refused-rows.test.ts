// @module-tag FM-16
import { type Database, type Queryable, getJob, silentLogger } from "@hark/core";
import { statements } from "@hark/core/internal";
import { implement } from "@hark/worker";
import { DueJobs, ForgottenClaims, Orphans } from "@hark/worker/internal";
import { expect } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { lostOrDoubled } from "../../support/explain.ts";
import { test } from "../../support/fixtures.ts";
import { claim, countJobs, insertJob, insertJobs, registerWorker, untilState } from "../../support/jobs.ts";
import { monotonicUs } from "../../support/ledger.ts";
import { percentile, tell } from "../../support/long.ts";
import { recordingLogger } from "../../support/recording-logger.ts";
import { task } from "../../support/task.ts";

/**
 * Makes tables refuse the jobs of a queue whose payload says so, as a CHECK of the application
 * might. Existing rows stay.
 */
async function refuse({ pool }: Database, queue: string, ...tables: ("jobs" | "dead_jobs")[]): Promise<void> {
  for (const table of tables) {
    await pool.query(
      `alter table hark.${table} add constraint "refuses ${queue}"
         check (queue <> '${queue}' or not payload ? 'refused') not valid`,
    );
  }
}

async function refuseNoMore({ pool }: Database, queue: string, ...tables: ("jobs" | "dead_jobs")[]): Promise<void> {
  for (const table of tables) await pool.query(`alter table hark.${table} drop constraint "refuses ${queue}"`);
}

const leaseMs = 2_000;

test(
  "when no table accepts one of a killed worker's 51 jobs, that job stays and is logged with its id, and the others restart in time",
  { tags: ["FM-16", "OWNED-2"] },
  async ({ db, queue, ledger, startWorker, startProcess }) => {
    const held = '{"does": "hold", "ms": 600000, "times": 1}'; // ends at once on its second attempt
    const victim = await startProcess({ leaseMs, concurrency: 60, name: "victim" });
    const bad = await insertJob(db, {
      queue,
      type: "test.task",
      payloadJson: '{"does": "hold", "ms": 600000, "times": 1, "refused": 1}',
    });
    const neighbours = await insertJobs(
      db,
      Array.from({ length: 50 }, () => ({ queue, type: "test.task", payloadJson: held })),
    );
    await eventually(() => ledger.of("started").length === 51, { withinMs: 60_000, what: "51 starts", everyMs: 10 });
    await refuse(db, queue, "jobs", "dead_jobs");
    const restartedAt: number[] = [];
    const logger = recordingLogger();
    await startWorker([implement(task, async () => void restartedAt.push(monotonicUs()))], {
      queues: { [queue]: 60 },
      lease: leaseMs,
      logger,
    });

    victim.kill("SIGKILL");
    const killedAt = monotonicUs();
    await expect.poll(() => countJobs(db, queue), { timeout: 30_000 }).toEqual({ completed: 50, running: 1 });

    const times = restartedAt.map((at) => (at - killedAt) / 1_000);
    tell("50 neighbours of a job that no table accepts, from the kill to the restart", times);
    expect(percentile(times, 1)).toBeLessThanOrEqual(leaseMs + 5_000);
    expect((await getJob(db, bad))?.state).toBe("running");
    const told = () => logger.lines.filter(({ facts }) => facts["jobId"] === bad);
    await expect.poll(() => told().length, { timeout: 30_000 }).toBeGreaterThan(0);
    expect(told()[0]!.message).toContain("neither be made ready nor become a dead letter");
    expect(await lostOrDoubled(db, [bad, ...neighbours])).toEqual([]);

    await refuseNoMore(db, queue, "jobs", "dead_jobs");
    expect(await untilState(db, bad, "completed", { withinMs: 60_000 })).toMatchObject({ attempt: 2, crashCount: 1 });
  },
);

/** A database that counts its statements. */
function counting(db: Database): { db: Database; count: () => number } {
  let asked = 0;
  const counted = (on: Queryable): Queryable["query"] => {
    return (statement) => {
      asked += 1;
      return on.query(statement);
    };
  };
  return {
    db: {
      ...db,
      query: counted(db),
      onOneConnection: (work) => db.onOneConnection((on) => work({ query: counted(on) })),
    },
    count: () => asked,
  };
}

const payloadOf = (isRefused: boolean) => (isRefused ? '{"refused": 1}' : "{}");

/**
 * Makes jobs of a dead worker, every hundredth with a payload for {@link refuse}. Returns the ids
 * of these.
 */
async function orphan(db: Database, queue: string, count: number): Promise<bigint[]> {
  const worker = await registerWorker(db);
  const jobs = Array.from({ length: count }, (_, place) => ({ queue, payloadJson: payloadOf(place % 100 === 42) }));
  const ids = await insertJobs(db, jobs);
  for (let claimed = 0; claimed < count; claimed += 1_000) await claim(db, { queue, worker, limit: 1_000 });
  await statements.leaveWorkers(db, { id: worker });
  return ids.filter((_, place) => place % 100 === 42);
}

test(
  "of 10,000 orphaned jobs the 100 that no table accepts are found, the others are rescued in one pass, and later passes are cheap",
  { tags: ["FM-16", "OWNED-2"] },
  async ({ db, queue }) => {
    const bad = await orphan(db, queue, 10_000);
    await refuse(db, queue, "jobs", "dead_jobs");
    const { db: asked, count } = counting(db);
    const orphans = new Orphans({ db: asked, logger: silentLogger });

    while ((await orphans.rescue()) > 0);

    expect(await countJobs(db, queue)).toEqual({ ready: 9_900, running: 100 });
    expect(new Set(orphans.refused)).toEqual(new Set(bad));
    expect(count()).toBeLessThanOrEqual(100 * 22 + 30); // 20 to find one, and one that tries to bury it
    const worker = "00000000-0000-0000-0000-000000000000";
    const isSeen = async (except: bigint[]) => (await statements.surveyLeases(db, { worker, except }))[0]!.hasOrphans;
    expect([await isSeen([]), await isSeen(orphans.refused)]).toEqual([true, false]);

    const before = count();
    expect(await orphans.rescue()).toBe(0);
    expect(count() - before).toBeLessThanOrEqual(2);
    await db.pool.query("delete from hark.running_jobs where queue = $1", [queue]); // so that the next test's rescuer does not find them
  },
);

test(
  "an orphaned job that cannot become ready again is buried with the reason, and keeps its crash in the ledger",
  { tags: ["FM-16"] },
  async ({ db, queue }) => {
    const bad = await orphan(db, queue, 200);
    await refuse(db, queue, "jobs");

    expect(await new Orphans({ db, logger: silentLogger }).rescue()).toBe(200);

    expect(await countJobs(db, queue)).toEqual({ ready: 198, dead: 2 });
    for (const id of bad) {
      const job = await getJob(db, id);
      expect(job).toMatchObject({ state: "dead", reason: "unrecoverable", attempts: [{ ending: "crashed" }] });
      expect(job?.attempts[0]?.error).toContain("could not be made ready again");
    }
  },
);

test(
  "a due job that cannot become ready stays scheduled, and jobs due with it and after it start",
  { tags: ["FM-16"] },
  async ({ db, queue }) => {
    const due = (isRefused: boolean, delayMs: number) => ({ queue, payloadJson: payloadOf(isRefused), delayMs });
    const early = await insertJobs(
      db,
      Array.from({ length: 100 }, (_, place) => due(place % 50 === 0, 1)),
    );
    const [late] = await insertJobs(db, [due(false, 1_500)]);
    await refuse(db, queue, "jobs");
    const { db: asked, count } = counting(db);
    const jobs = new DueJobs({ db: asked, logger: silentLogger });
    const whole = { limit: 1_000, afterMs: Number.NEGATIVE_INFINITY };

    const left = await eventually(
      async () => {
        const answer = await jobs.promote(whole);
        return (await countJobs(db, queue))["ready"]! >= 98 ? answer : undefined;
      },
      { withinMs: 30_000, what: "promotion of the due jobs" },
    );
    expect(left.nextDueInMs).toBeGreaterThan(-1_500); // of the late job, not of the refused ones
    await eventually(async () => (await jobs.promote(whole)) && (await getJob(db, late!))?.state === "ready", {
      withinMs: 30_000,
      what: "the late job being ready",
    });

    expect(await countJobs(db, queue)).toEqual({ scheduled: 2, ready: 99 });
    const before = count();
    expect(await jobs.promote(whole)).toMatchObject({ promoted: 0, nextDueInMs: undefined });
    expect(count() - before).toBe(1);
    await refuseNoMore(db, queue, "jobs");
    await new DueJobs({ db, logger: silentLogger }).promote(whole);
    expect(await countJobs(db, queue)).toEqual({ ready: early.length + 1 });
  },
);

test(
  "an orphaned claim that no table accepts does not stop others from being handed back",
  { tags: ["FM-16"] },
  async ({ db, queue }) => {
    const worker = await registerWorker(db);
    await insertJobs(
      db,
      Array.from({ length: 10 }, (_, place) => ({ queue, payloadJson: payloadOf(place === 3) })),
    );
    await claim(db, { queue, worker, limit: 10 });
    await refuse(db, queue, "jobs", "dead_jobs");
    const logger = recordingLogger();
    const forgotten = new ForgottenClaims({ db, heldClaims: () => [], isAwaited: () => false, logger });
    const look = async () => forgotten.release((await statements.surveyLeases(db, { worker }))[0]!.mine);

    for (let looks = 1; looks <= 4; looks += 1) await look();

    expect(await countJobs(db, queue)).toEqual({ ready: 9, running: 1 });
    expect(logger.lines.filter(({ level }) => level === "error")).toHaveLength(1);
  },
);
