import { randomUUID } from "node:crypto";
import { statements } from "@hark/core/internal";
import { expect } from "vitest";
import { claim, completed, insertJob, registerWorker } from "../../support/jobs.ts";
import { type Place, placesOf } from "../../support/places.ts";
import { changeFunction, lacking, without } from "../../support/seams.ts";
import { test } from "./fixtures.ts";
import { begin, commit, rollback, type Scenario } from "./scenario.ts";

const queue = "keys";
const key = "k";

interface World {
  /** Runs under the key. */
  held: statements.ClaimedJob;
  /** Ready or parked under the key, in order of their ids. */
  waiting: bigint[];
  worker: string;
}

const settle = begin<World>("settle", (on, { held }) => statements.completeJobs(on, completed(held)));
const park = begin<World>("park", (on) => statements.parkBlocked(on, { queue, keys: [key] }));
const claimOne = begin<World>("claim", (on, { worker }) => claim(on, { queue, worker }));
const claimByType = begin<World>("claim by type", (on, { worker }) =>
  statements.claimJobsByType(on, { queue, worker, types: ["test.plain"], limit: 1, token: randomUUID() }),
);
const cancel = (place: number) =>
  begin<World>("cancel", (on, { waiting }) => statements.cancelJob(on, { id: waiting[place]! }));

/** A running job and two jobs behind it that are ready or parked. */
const prepare = (state: "ready" | "parked"): Scenario<World>["prepare"] => {
  return async (db) => {
    const worker = await registerWorker(db);
    await insertJob(db, { queue, key });
    const [held] = await claim(db, { queue, worker });
    const waiting = [await insertJob(db, { queue, key }), await insertJob(db, { queue, key })];
    if (state === "parked") await statements.parkBlocked(db, { queue, keys: [key] });
    return { held: held!, waiting, worker };
  };
};

/**
 * No two jobs run at once, each job has one place, and a parked job has another before it that will
 * hand the key on.
 */
const judge: Scenario<World>["judge"] = async (db) => {
  const wrong: string[] = [];
  const places = await placesOf(db);
  const count = (state: Place["state"]) => places.filter((place) => place.state === state).length;
  if (new Set(places.map(({ id }) => id)).size !== places.length) wrong.push("a job in two places");
  if (count("running") > 1) wrong.push("two of a key run at once");
  if (count("parked") > 0 && count("running") + count("ready") === 0) wrong.push("parked for ever");
  return wrong;
};

/** The key's job settles while others are parked, inserted and claimed. */
const handOff: Scenario<World> = {
  sessions: {
    settler: [settle, commit],
    parker: [park, commit],
    producer: [begin("insert", (on) => insertJob(on, { queue, key })), commit],
    claimer: [claimOne, commit],
  },
  prepare: prepare("ready"),
  judge,
};

/**
 * The key's job settles while the first in line is cancelled, and a cancel of the second is rolled
 * back.
 */
const cancelled: Scenario<World> = {
  sessions: {
    settler: [settle, commit],
    canceller: [cancel(0), commit],
    doubter: [cancel(1), rollback],
    producer: [begin("insert", (on) => insertJob(on, { queue, key })), commit, park, commit],
  },
  prepare: prepare("parked"),
  judge: async (db, world, run) => {
    const wrong = [...(await judge(db, world, run))];
    const [first] = (await placesOf(db)).filter(({ id }) => id === world.waiting[0]);
    if (first?.state !== "cancelled") wrong.push(`a cancelled job is ${first?.state ?? "nowhere"}`);
    return wrong;
  },
};

/**
 * The first in line is cancelled, whether ready, parked or just handed the key, while others are
 * parked behind it.
 */
const cancelledWhileParking: Scenario<World> = {
  sessions: {
    settler: [settle, commit],
    canceller: [cancel(0), commit],
    parker: [park, commit],
    other: [cancel(1), commit],
  },
  prepare: async (db, on) => {
    const world = await prepare("ready")(db, on);
    return { ...world, waiting: [...world.waiting, await insertJob(db, { queue, key })] };
  },
  judge,
};

/** Two claims ask for the key while it is freed. */
const twoClaims: Scenario<World> = {
  sessions: {
    settler: [settle, commit],
    one: [claimOne, commit],
    other: [claimOne, commit],
    parker: [park, commit],
  },
  prepare: prepare("ready"),
  judge,
};

/** As two claims, where one worker claims the queue and another claims it by types. */
const claimsByQueueAndType: Scenario<World> = {
  ...twoClaims,
  sessions: { ...twoClaims.sessions, other: [claimByType, commit] },
};

const scenarios: [name: string, scenario: Scenario<World>][] = [
  ["hand-off, parking, insert and claim", handOff],
  ["hand-off, cancels of those in line, insert and parking", cancelled],
  ["hand-off, parking and cancels of two in line", cancelledWhileParking],
  ["hand-off, parking and two claims", twoClaims],
  ["hand-off, parking, a claim of the queue and one by types", claimsByQueueAndType],
];

test.for(scenarios)(
  "in any order of %s, no two jobs of a key run at once and none is parked for ever",
  { tags: ["FM-40"] },
  async ([, scenario], { explore }) => {
    const { broken, waits } = await explore(scenario);
    expect(broken).toBeUndefined();
    expect(waits).toBeGreaterThan(0);
  },
);

test("parking without a lock on the running job is found", async ({ explore }) => {
  const seams = [lacking("park-jobs", "for share skip locked")];
  expect((await explore(handOff, { seams })).broken).toContain("parked for ever");
});

test("a hand-off that skips a job which is being cancelled is found", async ({ explore }) => {
  const cancelledBoth: Scenario<World> = { ...cancelled, sessions: { ...cancelled.sessions, producer: [] } };
  expect((await explore(cancelledBoth)).broken).toBeUndefined();
  const twin = await explore(cancelledBoth, {
    wreck: (db) => changeFunction(db, "hark.hand_off", without("LIMIT 1 FOR UPDATE", "LIMIT 1")),
  });
  expect(twin.broken).toContain("parked for ever");
});

test("a cancel that keeps the key of a ready job is found", async ({ explore }) => {
  const seams = [lacking("cancel-job", ", (select count(*) from handed)")];
  expect((await explore(cancelledWhileParking, { seams })).broken).toContain("parked for ever");
});

test("a cancel that hands the key on under its own older snapshot is found", async ({ explore }) => {
  const instead = `(update hark.jobs set state = 'ready' from waiting where jobs.id = (
    select id from hark.jobs where queue = waiting.queue and key = waiting.key and state = 'parked'
     order by priority desc, id limit 1 for update) and waiting.state = 'ready' returning jobs.id)`;
  const guard = "(select hark.hand_off(queue, key) from waiting where state = 'ready' and key is not null)";
  const { broken } = await explore(cancelledWhileParking, { seams: [lacking("cancel-job", guard, instead)] });
  expect(broken).toContain("parked for ever");
});

test("two claims without the unique index on a key's running job are found", async ({ explore }) => {
  const { broken } = await explore(twoClaims, {
    seams: [lacking("claim-jobs", "on conflict (queue, key) where key is not null do nothing")],
    wreck: async (db) => void (await db.query({ text: "drop index hark.running_jobs_key", values: [] })),
  });
  expect(broken).toContain("two of a key run at once");
});
