import type { Queryable } from "@hark/core";
import { statements } from "@hark/core/internal";
import { expect } from "vitest";
import { claim, completed, insertJob, registerWorker } from "../../support/jobs.ts";
import { placesOf } from "../../support/places.ts";
import { changeFunction, lacking, without } from "../../support/seams.ts";
import { test } from "./fixtures.ts";
import { begin, commit, type Run, type Scenario } from "./scenario.ts";

const queue = "unique";
const uniqueKey = "u";

/** Whether another session may have had the key's row locked while its job was settled. */
const wasLocked = ({ events }: Run): boolean =>
  ["producer.insert", "operator.requeue"].some(
    (step) =>
      events.indexOf(`${step}!`) < events.indexOf("other.settle=") &&
      events.indexOf(`${step.split(".")[0]}.commit=`) > events.indexOf("other.settle!"),
  );

interface World {
  held: statements.ClaimedJob;
  dead: bigint;
  other: string;
  again: statements.ClaimedJob[];
}

const fatal = { ending: "fatal", reason: "unrecoverable", error: "" } as const;

const insertOne = (on: Queryable) =>
  statements.insertJobs(on, {
    jobs: `[{"type": "test.plain", "queue": "${queue}", "unique_key": "${uniqueKey}"}]`,
  });
const insert = begin<World>("insert", insertOne);

/** Whether the next job gets the key. */
const isFree = async (db: Queryable): Promise<boolean> => (await insertOne(db))[0]!.status === "inserted";

/**
 * The key's job is retried, claimed again and settled, while an insert and the requeue of a dead
 * letter ask for the key.
 */
const uniqueKeys: Scenario<World> = {
  sessions: {
    owner: [
      begin("retry", (on, { held: { id, token } }) =>
        statements.retryJobs(
          on,
          statements.retriedOf([{ id, token, ending: "error", error: "", delayMs: 0, attempt: 1 }]),
        ),
      ),
      commit,
    ],
    other: [
      {
        name: "claim",
        async run(on, world) {
          world.again = await claim(on, { queue, worker: world.other });
        },
      },
      begin("settle", (on, { again }) => statements.completeJobs(on, completed(...again))),
      commit,
    ],
    producer: [insert, commit],
    operator: [begin("requeue", (on, { dead }) => statements.requeueJobs(on, { ids: [dead] })), commit],
  },
  async prepare(db) {
    const worker = await registerWorker(db);
    await insertJob(db, { queue, uniqueKey });
    const [dead] = await claim(db, { queue, worker });
    await statements.buryJobs(db, statements.buriedOf([{ id: dead!.id, token: dead!.token, ...fatal }]));
    await insertJob(db, { queue, uniqueKey });
    const [held] = await claim(db, { queue, worker });
    return { held: held!, dead: dead!.id, other: await registerWorker(db), again: [] };
  },
  async judge(db, { dead, held }, run) {
    const wrong: string[] = [];
    const places = await placesOf(db);
    const unfinished = places.filter(({ state }) => !["completed", "cancelled", "dead"].includes(state));
    if (new Set(places.map(({ id }) => id)).size !== places.length) wrong.push("a job in two places");
    if (unfinished.length > 1) wrong.push(`${unfinished.length} unfinished jobs of one unique key`);
    const { rows } = await db.query({ text: "select job_id from hark.unique_keys", values: [] });
    const isHeldByOther = String(rows[0]?.job_id) !== String(unfinished[0]?.id) || rows.length > 1;
    // A job that finished while another had the key's row locked leaves the row to the next insert.
    if (isHeldByOther && !(unfinished.length === 0 && wasLocked(run) && (await isFree(db))))
      wrong.push(`the key is held by ${String(rows[0]?.job_id)}, but ${unfinished[0]?.id} is unfinished`);

    const [answer] = run.answers["producer.insert"] as statements.InsertedJob[];
    const answered = places.find(({ id }) => id === answer!.id);
    if (!answered) wrong.push(`the producer got job ${answer!.id}, which does not exist`);
    if ((answer!.status === "inserted") !== (answer!.id !== dead && answer!.id !== held.id))
      wrong.push(`job ${answer!.id} is ${answer!.status}`);
    const [requeued] = run.answers["operator.requeue"] as statements.RequeuedJob[];
    const isDead = places.some(({ id, state }) => id === dead && state === "dead");
    if (requeued!.isRequeued === isDead) wrong.push(`requeued ${requeued!.isRequeued}, dead ${isDead}`);
    return wrong;
  },
};

test("in any order of retry, claim, settle, insert and requeue, a unique key has one unfinished job, which holds it", async ({
  explore,
}) => {
  const { broken, waits } = await explore(uniqueKeys);
  expect(broken).toBeUndefined();
  expect(waits).toBeGreaterThan(0);
});

test("a requeue that does not ask for the key is found", async ({ explore }) => {
  const seams = [lacking("requeue-jobs", "where unique_key is null or id in (select job_id from keyed)")];
  const shows = "unfinished jobs of one unique key";
  expect((await explore(uniqueKeys, { seams, shows })).broken).toContain(shows);
});

const wrecks: [name: string, wreck: (db: Queryable) => Promise<void>, found: RegExp][] = [
  [
    "an insert that ignores whether it got the key",
    async (db) =>
      void (await db.query({
        text: "alter table hark.unique_keys drop constraint unique_keys_queue_unique_key_pk",
        values: [],
      })),
    /unfinished jobs of one unique key|the key is held by|no unique or exclusion constraint/,
  ],
  [
    "an insert of a duplicate that it has found",
    (db) => changeFunction(db, "hark.insert_jobs", without("WHERE marks[ordinality] <> 1", "WHERE true")),
    /a job in two places|duplicate key/,
  ],
  [
    "a completed job that keeps its key",
    async (db) =>
      void (await db.query({ text: "drop trigger finished_jobs_free_unique_key on hark.finished_jobs", values: [] })),
    /the key is held by/,
  ],
];

test.for(wrecks)("%s is found", async ([, wreck, found], { explore }) => {
  expect((await explore(uniqueKeys, { wreck })).broken).toMatch(found);
});
