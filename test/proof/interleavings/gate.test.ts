import type { Queryable } from "@hark/core";
import { statements } from "@hark/core/internal";
import { expect } from "vitest";
import { claim, insertJob, registerWorker } from "../../support/jobs.ts";
import { placesOf } from "../../support/places.ts";
import { lacking } from "../../support/seams.ts";
import { test } from "./fixtures.ts";
import { begin, commit, rollback, type Scenario, type Step } from "./scenario.ts";

const queue = "gate";
const types = ["test.plain"];

interface World {
  worker: string;
  /** Open transactions that may not have seen the open gate. */
  writers: string[];
  isAwake: boolean;
}

const look: Step<World> = {
  name: "look",
  async run(on, world) {
    const ready = await statements.queuesWithReadyJobs(on, { queues: [queue], types });
    world.isAwake ||= ready.length > 0;
  },
};

/**
 * Falls asleep as fall-asleep.ts does: open the gate, look, wait for the writers, look. A later
 * notification wakes it.
 */
const fallAsleep: Step<World>[] = [
  {
    name: "open the gate",
    async run(on, world) {
      const [answer] = await statements.openNotifyGate(on, { queues: [queue] });
      world.writers = answer!.writers;
    },
  },
  look,
  {
    name: "quiesce",
    when: async (on, { writers }) => (await statements.openWriters(on, { among: writers })).length === 0,
    run: async () => {},
  },
  { ...look, name: "look again" },
];

const insert = begin<World>("insert", (on) => insertJob(on, { queue }));

/**
 * A worker that falls asleep, a transaction that commits a job, one that rolls back, and a claim
 * that is rolled back.
 */
const readCommitted: Scenario<World> = {
  sessions: {
    worker: fallAsleep,
    producer: [insert, commit],
    doubter: [insert, rollback],
    claimer: [begin("claim", (on, { worker }) => claim(on, { queue, worker })), rollback],
  },
  async prepare(db, on) {
    await on("worker").query({ text: "select pg_advisory_unlock_all()", values: [] }); // closes the gate of the previous run
    return { worker: await registerWorker(db), writers: [], isAwake: false };
  },
  judge,
};

/**
 * A producer with an old snapshot inserts in two statements, of which the second is rolled back to
 * a savepoint.
 */
const oldSnapshot: Scenario<World> = {
  ...readCommitted,
  sessions: {
    worker: fallAsleep,
    producer: [
      begin("look", (on) => on.query({ text: "select from hark.jobs", values: [] }), "repeatable read"),
      { name: "insert", run: (on) => insertJob(on, { queue }) },
      {
        name: "insert in part",
        async run(on) {
          await on.query({ text: "savepoint part", values: [] });
          await insertJob(on, { queue });
          await on.query({ text: "rollback to part", values: [] });
        },
      },
      commit,
    ],
    retrier: [insert, commit],
  },
};

/**
 * A job is lost until the next poll if it is ready, the worker did not see it, and no notification
 * was sent.
 */
async function judge(db: Queryable, { isAwake }: World, { heard }: { heard: readonly string[] }): Promise<string[]> {
  const isAnnounced = heard.some((payload) => payload.split(" ")[0] === queue);
  const isReady = (await placesOf(db)).some(({ state }) => state === "ready");
  return isReady && !isAwake && !isAnnounced ? ["a job is ready, but the worker sleeps"] : [];
}

const scenarios: [name: string, scenario: Scenario<World>][] = [
  ["a commit, a rollback and a claim that is rolled back", readCommitted],
  ["a producer with an old snapshot and another producer", oldSnapshot],
];

test.for(scenarios)(
  "in any order of the steps of a worker that falls asleep and of %s, it does not sleep past a ready job",
  { tags: ["AWAKE-2", "FM-03"] },
  async ([, scenario], { explore }) => {
    expect((await explore(scenario)).broken).toBeUndefined();
  },
);

test(
  "a worker that does not wait for transactions that may not have seen its open gate is found",
  { tags: ["AWAKE-2"] },
  async ({ explore }) => {
    const seams = [lacking("open-notify-gate", "gate.opened is not null", "gate.opened is null")];
    expect((await explore(readCommitted, { seams })).broken).toContain("but the worker sleeps");
  },
);

test("a worker that does not look again after the wait is found", { tags: ["AWAKE-2"] }, async ({ explore }) => {
  const hasty = { ...readCommitted, sessions: { ...readCommitted.sessions, worker: fallAsleep.slice(0, -1) } };
  expect((await explore(hasty)).broken).toContain("but the worker sleeps");
});

test("a worker that opens its gate after the last look is found", { tags: ["AWAKE-2"] }, async ({ explore }) => {
  const early = { ...readCommitted, sessions: { ...readCommitted.sessions, worker: [look, fallAsleep[0]!] } };
  expect((await explore(early)).broken).toContain("but the worker sleeps");
});

test(
  "a look that skips jobs of a claim that may be rolled back is found",
  { tags: ["AWAKE-2", "FM-40"] },
  async ({ explore }) => {
    const seams = [lacking("probe-jobs", "type = any ($2::text[])", "type = any ($2::text[]) for update skip locked")];
    expect((await explore(readCommitted, { seams })).broken).toContain("but the worker sleeps");
  },
);

test(
  "a trigger that sends no notification through an open gate is found",
  { tags: ["AWAKE-2"] },
  async ({ explore }) => {
    const twin = await explore(oldSnapshot, {
      wreck: async (db) => {
        for (const trigger of ["jobs_announce_insert", "jobs_announce_update"])
          await db.query({ text: `alter table hark.jobs disable trigger ${trigger}`, values: [] });
      },
    });
    expect(twin.broken).toContain("but the worker sleeps");
  },
);
