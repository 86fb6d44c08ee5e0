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
  /** Open transactions that may not have seen the mark. */
  writers: string[];
  isAwake: boolean;
}

const look: Step<World> = {
  name: "look",
  async run(on, world) {
    world.isAwake ||= await statements.isAnyReady(on, { queue, types });
  },
};

/** Goes to sleep as fall-asleep.ts does: open the gate, look, wait for the writers, look. A later announcement wakes it. */
const sleeper: Step<World>[] = [
  {
    name: "open the gate",
    async run(on, world) {
      const [answer] = await statements.openNotifyGate(on, { queue });
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

/** A sleeper, a transaction that commits a job, one that undoes it, and a claim that comes to nothing. */
const readCommitted: Scenario<World> = {
  sessions: {
    sleeper,
    producer: [insert, commit],
    doubter: [insert, rollback],
    claimer: [begin("claim", (on, { worker }) => claim(on, { queue, worker })), rollback],
  },
  async prepare(db, on) {
    await on("sleeper").query({ text: "select pg_advisory_unlock_all()", values: [] }); // the mark of the run before
    return { worker: await registerWorker(db), writers: [], isAwake: false };
  },
  judge,
};

/** A producer whose snapshot is older than what it does, in two statements of which the first is half undone. */
const oldSnapshot: Scenario<World> = {
  ...readCommitted,
  sessions: {
    sleeper,
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

/** A job that is ready when nobody looked again, and nothing announced, is lost until somebody polls. */
async function judge(db: Queryable, { isAwake }: World, { heard }: { heard: readonly string[] }): Promise<string[]> {
  const isAnnounced = heard.some((payload) => payload.split(" ")[0] === queue);
  const isReady = (await placesOf(db)).some(({ state }) => state === "ready");
  return isReady && !isAwake && !isAnnounced ? ["a job is ready, and the sleeper will not know"] : [];
}

const scenarios: [name: string, scenario: Scenario<World>][] = [
  ["a commit, a rollback and a claim that is undone", readCommitted],
  ["a producer with an old snapshot and another", oldSnapshot],
];

test.for(scenarios)(
  "whatever the order of a sleeper's steps and those of %s, no ready job is left to a sleeper that does not know",
  { tags: ["AWAKE-2", "FM-03"] },
  async ([, scenario], { explore }) => {
    expect((await explore(scenario)).broken).toBeUndefined();
  },
);

test(
  "a sleeper that does not wait for who may not have seen its mark is found",
  { tags: ["AWAKE-2"] },
  async ({ explore }) => {
    const seams = [lacking("open-notify-gate", "gate.opened is not null", "gate.opened is null")];
    expect((await explore(readCommitted, { seams })).broken).toContain("will not know");
  },
);

test("a sleeper that looks only before it has waited is found", { tags: ["AWAKE-2"] }, async ({ explore }) => {
  const hasty = { ...readCommitted, sessions: { ...readCommitted.sessions, sleeper: sleeper.slice(0, -1) } };
  expect((await explore(hasty)).broken).toContain("will not know");
});

test("a sleeper that looks for the last time before it marks is found", { tags: ["AWAKE-2"] }, async ({ explore }) => {
  const early = { ...readCommitted, sessions: { ...readCommitted.sessions, sleeper: [look, sleeper[0]!] } };
  expect((await explore(early)).broken).toContain("will not know");
});

test(
  "a look that does not see what a claim holds, which may be undone, is found",
  { tags: ["AWAKE-2", "FM-40"] },
  async ({ explore }) => {
    const seams = [
      lacking(
        "probe-jobs",
        "select exists (select from hark.jobs where queue = $1 and state = 'ready' and type = any ($2::text[]))",
        `with free as materialized (select from hark.jobs where queue = $1 and state = 'ready' and type = any ($2::text[])
                  for update skip locked) select exists (select from free)`,
      ),
    ];
    expect((await explore(readCommitted, { seams })).broken).toContain("will not know");
  },
);

test("a trigger that finds the mark and announces nothing is found", { tags: ["AWAKE-2"] }, async ({ explore }) => {
  const twin = await explore(oldSnapshot, {
    wreck: async (db) => {
      for (const trigger of ["jobs_announce_insert", "jobs_announce_update"])
        await db.query({ text: `alter table hark.jobs disable trigger ${trigger}`, values: [] });
    },
  });
  expect(twin.broken).toContain("will not know");
});
