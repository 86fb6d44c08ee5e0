import { defineJob, InvalidOptionsError } from "@hark/core";
import { createWorker, implement, type Worker } from "@hark/worker";
import { expect } from "vitest";
import { countStatements } from "../support/count-statements.ts";
import { eventually } from "../support/eventually.ts";
import { test as base } from "../support/fixtures.ts";
import { gateLocks } from "../support/gate.ts";
import { untilState } from "../support/jobs.ts";

const withinMs = 60_000;
const many = 300;

const jobsOf = (queue: string, queues: number) =>
  Array.from({ length: queues }, (_, place) => defineJob(`test.idle-${place}`, { queue: `${queue}.${place}` }));

/** A test on workers that poll often, so that a few seconds show what they do over and over. */
const test = base.extend("startIdle", ({ pool, queue, startWorker }) => {
  let started = 0;
  /** Starts a worker, and returns it once it sleeps on all of its queues. */
  return async (queues: number): Promise<{ worker: Worker; jobs: ReturnType<typeof jobsOf> }> => {
    const jobs = jobsOf(`${queue}.${(started += 1)}`, queues);
    const poll = { pollInterval: "100ms", promoteInterval: "100ms" } as const;
    const worker = await startWorker(jobs.map((job) => implement(job, () => {})), poll); // prettier-ignore
    const sleepsOn = async () => (await pool.query(`select count(*)::int as locks ${gateLocks}`)).rows[0].locks;
    await eventually(async () => (await sleepsOn()) === queues, { withinMs, what: "sleep on all queues" });
    return { worker, jobs };
  };
});

test("an idle worker of many queues sends as many statements as one of a single queue, in one poll for all", async ({
  startIdle,
}) => {
  const perPoll: number[] = [];
  for (const queues of [1, many]) {
    const { worker } = await startIdle(queues);
    let polls = 0;
    const { sent, end } = countStatements((name, [asked, , asksDue]) => {
      if (name === "probe-jobs" && asksDue === true && (asked as string[]).length === queues) polls += 1;
    });
    await eventually(() => polls >= 20, { withinMs, what: "twenty polls of all queues" });
    end();
    await worker.stop();
    sent.delete("unnamed"); // heartbeats, and the check of the schema's version
    perPoll.push([...sent.values()].reduce((sum, count) => sum + count) / polls);
  }
  for (const statements of perPoll) expect(statements).toBeLessThan(1.5); // the others come rarely
});

test("a worker of many queues starts, sleeps and stops with a few statements more than one of a single queue", async ({
  startIdle,
}) => {
  const counts: Map<string, number>[] = [];
  for (const queues of [1, many]) {
    const { sent, end } = countStatements();
    const { worker } = await startIdle(queues);
    await worker.stop();
    end();
    counts.push(sent);
  }
  const [one, several] = counts as [Map<string, number>, Map<string, number>];
  for (const [name, count] of several) {
    if (name === "unnamed" || name === "probe-jobs") continue; // the test's own, and polls while it starts
    expect(count, name).toBeLessThanOrEqual((one.get(name) ?? 0) + 4);
  }
  expect(several.get("probe-jobs")).toBeLessThan(many / 5);
  expect(several.get("claim-plain-jobs") ?? 0).toBe(0); // no queue has a ready job
});

test("a notification wakes one of many queues: one claim, and one look whether more is there", async ({
  db,
  producer,
  startWorker,
  queue,
  pool,
}) => {
  const jobs = jobsOf(queue, many);
  const handlers = jobs.map((job) => implement(job, () => {}));
  const worker = await startWorker(handlers, { pollInterval: "10m" });
  const sleepsOn = async () => (await pool.query(`select count(*)::int as locks ${gateLocks}`)).rows[0].locks;
  await eventually(async () => (await sleepsOn()) === many, { withinMs, what: "sleep on all queues" });

  const { sent, end } = countStatements();
  for (const job of jobs.slice(0, 10)) {
    const { id } = await producer.enqueue(job, {});
    await untilState(db, id, "completed");
  }
  end();
  await worker.stop();
  expect(sent.get("claim-plain-jobs")).toBe(10);
  expect(sent.get("probe-jobs")).toBeLessThanOrEqual(10 + 5); // and polls for scheduled jobs
});

test("a long transaction costs a worker of many queues some looks at it, and no claims", async ({
  pool,
  queue,
  startWorker,
}) => {
  const client = await pool.connect();
  try {
    await client.query("begin");
    await client.query("select hark.enqueue('test.other', '{}', queue => $1)", [`${queue}.other`]);
    let looks = 0;
    const { sent, end } = countStatements((_name, _values, text) => {
      if (text.includes("RowExclusiveLock")) looks += 1; // the gate's session sends no names
    });
    const handlers = jobsOf(queue, many).map((job) => implement(job, () => {}));
    const worker = await startWorker(handlers, { pollInterval: "100ms" });
    await eventually(() => looks >= 100, { withinMs, what: "a hundred looks" });
    end();
    await worker.stop();
    expect(sent.get("claim-plain-jobs") ?? 0).toBe(0);
    expect(sent.get("probe-jobs")).toBeLessThan(100 + many);
  } finally {
    await client.query("rollback");
    client.release();
  }
});

test("a job whose notification is lost starts by the poll, in any of many queues", async ({
  startIdle,
  producer,
  db,
  pool,
}) => {
  const { jobs } = await startIdle(many);
  await pool.query("alter table hark.jobs disable trigger jobs_announce_insert");
  try {
    for (const job of [jobs[0]!, jobs[many - 1]!]) {
      const { id } = await producer.enqueue(job, {});
      await untilState(db, id, "completed");
      const later = await producer.enqueue(job, {}, { delay: 500 });
      await untilState(db, later.id, "completed");
    }
  } finally {
    await pool.query("alter table hark.jobs enable trigger jobs_announce_insert");
  }
});

test("a worker of more than 1,000 queues is refused before anything starts, and one of 1,000 is not", () => {
  const make = (queues: number) =>
    createWorker({
      connectionString: "postgres://nowhere",
      handlers: jobsOf("limit", queues).map((job) => implement(job, () => {})),
    });
  expect(() => make(1_000)).not.toThrow();
  expect(() => make(1_001)).toThrow(InvalidOptionsError);
  expect(() => make(1_001)).toThrow(/queues: must be at most 1000, not 1001/);
});
