import { expect } from "vitest";
import { placesOf } from "../../support/places.ts";
import { changeFunction, lacking, type TextSeam, without } from "../../support/seams.ts";
import { test, type Twin } from "./fixtures.ts";
import * as keys from "./keys.ts";
import { commit, rollback, type Scenario } from "./scenario.ts";

const { cancel, claimByType, claimTwo, insert, insertBatch, judge, park, prepare, settle, settleAndNext } = keys;
type KeyScenario = Scenario<keys.World>;

/** The key's job settles while others are parked, inserted and claimed. */
const handOff: KeyScenario = {
  sessions: {
    settler: [settle, commit],
    parker: [park, commit],
    producer: [insert, commit],
    claimer: [claimTwo(), commit],
  },
  prepare: prepare("ready"),
  judge,
};

/**
 * The key's job settles while the first in line is cancelled, and a cancel of the second is rolled
 * back.
 */
const cancelled: KeyScenario = {
  sessions: {
    settler: [settle, commit],
    canceller: [cancel(0), commit],
    doubter: [cancel(1), rollback],
    producer: [insert, commit, park, commit],
  },
  prepare: prepare("parked"),
  judge: async (db, world, run) => {
    const wrong = [...(await judge(db, world, run))];
    const [first] = (await placesOf(db)).filter(({ id }) => id === world.waiting[0]);
    if (first?.state !== "cancelled") wrong.push(`a cancelled job is ${first?.state ?? "nowhere"}`);
    return wrong;
  },
};
const cancelledBoth: KeyScenario = { ...cancelled, sessions: { ...cancelled.sessions, producer: [] } };

/**
 * The first in line is cancelled, whether ready, parked or just handed the key, while others are
 * parked behind it.
 */
const cancelledWhileParking: KeyScenario = {
  sessions: {
    settler: [settle, commit],
    canceller: [cancel(0), commit],
    parker: [park, commit],
    other: [cancel(1), commit],
  },
  prepare: prepare("ready", 3),
  judge,
};

/** Two claims ask for the key while it is freed. */
const twoClaims: KeyScenario = {
  sessions: {
    settler: [settle, commit],
    one: [claimTwo(), commit],
    other: [claimTwo(), commit],
    parker: [park, commit],
  },
  prepare: prepare("ready", 4),
  judge,
};

/** As two claims, where one worker claims the queue and another claims it by types. */
const claimsByQueueAndType: KeyScenario = {
  ...twoClaims,
  sessions: { ...twoClaims.sessions, other: [claimByType, commit] },
};

/** Claims of each kind ask for the key while it is freed. */
const allClaims: KeyScenario = {
  sessions: {
    settler: [settle, commit],
    one: [claimTwo(), commit],
    contended: [claimTwo({ isContended: true }), commit],
    hindered: [claimTwo({ isHindered: true }), commit],
  },
  prepare: prepare("ready", 6),
  judge,
};

/** The key's job settles, and the next of the key is claimed with its commit. */
const next = (state: "ready" | "parked"): KeyScenario => ({
  sessions: {
    settler: [settleAndNext, commit],
    parker: [park, commit],
    claimer: [claimTwo(), commit],
    canceller: [cancel(0), commit],
  },
  prepare: prepare(state),
  judge,
});

/** The same, but it is undone: the job still runs, and another settle of it comes later. */
const nextUndone: KeyScenario = {
  sessions: {
    settler: [settleAndNext, rollback, settle, commit],
    canceller: [cancel(0), rollback],
    claimer: [claimTwo(), commit],
  },
  prepare: prepare("parked"),
  judge,
};

/**
 * Batches of siblings are inserted, one of them rolled back, while the key is freed and claimed
 * twice.
 */
const batches: KeyScenario = {
  sessions: {
    settler: [settle, commit],
    producer: [insertBatch, commit],
    doubter: [insertBatch, rollback],
    one: [claimTwo(), commit],
    other: [claimTwo(), commit],
  },
  prepare: prepare("ready", 3),
  judge,
};

/**
 * The jobs behind the running one came in one batch: the head of it is ready, and another parked.
 */
const siblings: KeyScenario = {
  sessions: {
    settler: [settle, commit],
    claimer: [claimTwo(), commit],
    parker: [park, commit],
    producer: [insertBatch, commit],
  },
  prepare: async (db, on) => {
    const world = await prepare("ready", 0)(db, on);
    await keys.insertSiblings(db);
    return world;
  },
  judge,
};

/** A batch is inserted while its key is claimed and parked. */
const batchParked: KeyScenario = {
  sessions: {
    settler: [settle, commit],
    producer: [insertBatch, commit],
    claimer: [claimTwo({ isHindered: true }), commit],
    parker: [park, commit],
  },
  prepare: prepare("ready"),
  judge,
};

/**
 * The key's job leaves in another way, while others are parked and claimed and one is cancelled.
 */
const leaving = (leave: keyof typeof leaves): KeyScenario => ({
  sessions: {
    leaver: [leaves[leave], commit],
    parker: [park, commit],
    claimer: [claimTwo(), commit],
    canceller: [cancel(0), commit],
  },
  prepare: prepare("ready"),
  judge,
});
const leaves = { retry: keys.retry, cancel: keys.cancelRunning, rescue: keys.rescue };

/** The key's job settles in a transaction that does not see what was parked since it began. */
const inSnapshot: KeyScenario = {
  sessions: {
    settler: [keys.takeSnapshot, keys.settleInSnapshot, commit],
    parker: [park, commit],
    producer: [insert, commit, park, commit],
    canceller: [cancel(0), commit, cancel(1), commit],
  },
  prepare: prepare("parked"),
  judge,
};

const scenarios: [name: string, scenario: KeyScenario, waiting?: "nothing waits"][] = [
  ["hand-off, parking, insert and claim", handOff],
  ["hand-off, cancels of those in line, insert and parking", cancelled],
  ["hand-off and cancels of those in line", cancelledBoth],
  ["hand-off, parking and cancels of two in line", cancelledWhileParking],
  ["hand-off, parking and two claims", twoClaims],
  ["hand-off, parking, a claim of the queue and one by types", claimsByQueueAndType],
  ["hand-off and claims of all kinds", allClaims],
  ["claim of the next with the settle, parking, claim and cancel", next("ready")],
  ["claim of the next among parked ones, parking, claim and cancel", next("parked")],
  ["claim of the next that is undone, cancel and claim", nextUndone],
  ["hand-off, siblings, claim, parking and insert", siblings],
  ["hand-off, batches and claims", batches, "nothing waits"],
  ["hand-off, batch, hindered claim and parking", batchParked],
  ["retry, parking, claim and cancel", leaving("retry")],
  ["cancel of the running one, parking, claim and cancel", leaving("cancel")],
  ["rescue, parking, claim and cancel", leaving("rescue")],
  ["hand-off in an old snapshot, parking, insert and cancels", inSnapshot],
];

test.for(scenarios)(
  "in any order of %s, no two jobs of a key run at once and none is parked for ever",
  { tags: ["FM-40"] },
  async ([, scenario, waiting], { explore }) => {
    const { broken, waits } = await explore(scenario);
    expect(broken).toBeUndefined();
    if (!waiting) expect(waits).toBeGreaterThan(0);
  },
);

/** Nothing else makes up for a hand-off that is missed. */
const siblingsAlone = (claimer = claimTwo()): KeyScenario => ({
  ...siblings,
  sessions: { settler: [settle, commit], claimer: [claimer, commit] },
});

const parkedForEver = (scenario: KeyScenario, seam: TextSeam): [KeyScenario, Twin] => [
  scenario,
  { seams: [seam], shows: "parked for ever" },
];
/** A function of the schema that lacks some words. */
const wrecked = (scenario: KeyScenario, name: string, words: string, instead?: string): [KeyScenario, Twin] => [
  scenario,
  { wreck: (db) => changeFunction(db, name, without(words, instead)), shows: "parked for ever" },
];

const twins: [name: string, twin: [KeyScenario, Twin]][] = [
  ["parking without a lock on the running job", parkedForEver(handOff, lacking("park-jobs", "for no key update skip locked"))],
  ["parking that does not tell the running job", parkedForEver(handOff, lacking("park-jobs", "set hands_off = true", "set hands_off = hands_off"))],
  [
    "a hand-off only of jobs behind which none was parked",
    [
      cancelledBoth,
      {
        wreck: async (db) => {
          const text = `drop trigger running_jobs_hand_off on hark.running_jobs;
            create trigger running_jobs_hand_off after delete on hark.running_jobs
              for each row when (not old.hands_off) execute function hark.hand_off_key()`;
          await db.query({ text, values: [] });
        },
        shows: "parked for ever",
      },
    ],
  ],
  ["a hand-off that leaves locked jobs to nobody", wrecked(cancelledBoth, "hark.hand_off", "if not found and (", "if false and (")],
  ["a hand-off that trusts an old snapshot", wrecked(inSnapshot, "hark.hand_off", "not sees_all or")],
  ["a cancel that keeps the key of a ready job", parkedForEver(cancelledWhileParking, lacking("cancel-job", ", (select count(*) from handed)"))],
  ["a cancel that hands the key on under its own older snapshot", parkedForEver(cancelledWhileParking, lacking("cancel-job",
    "(select hark.hand_off(queue, key) from waiting where state = 'ready' and key is not null)",
    `(update hark.jobs set state = 'ready' from waiting where jobs.id = (
       select id from hark.jobs where queue = waiting.queue and key = waiting.key and state = 'parked'
        order by priority desc, id limit 1 for update) and waiting.state = 'ready' returning jobs.id)`))],
  ["a claim of the next that does not hand on", parkedForEver(next("parked"), lacking("complete-and-claim-next", "$5::uuid, true", "$5::uuid, false"))],
  ["a hindered claim that parks and does not hand on", parkedForEver(batchParked, lacking("claim-hindered-jobs", "$4::uuid, true", "$4::uuid, false"))],
  ["a claim that never hands on", parkedForEver(siblingsAlone(), lacking("claim-jobs", "key is not null and ( select true", "false and ( select true"))],
  ["a contended claim that never hands on", parkedForEver(
    siblingsAlone(claimTwo({ isContended: true })),
    lacking("claim-contended-jobs", "$4::uuid, (", "$4::uuid, false and ("))],
  ["an insert that parks behind a scheduled job", wrecked(siblingsAlone(), "hark.insert_jobs", "AND coalesce(run_at, called_at + delay_ms * interval '1 ms', called_at) <= called_at")],
]; // prettier-ignore

test.for(twins)("%s is found", { tags: ["FM-40"] }, async ([, [scenario, twin]], { explore }) => {
  expect((await explore(scenario, twin)).broken).toContain(twin.shows);
});

test("two claims without the unique index on a key's running job are found", async ({ explore }) => {
  const { broken } = await explore(twoClaims, {
    wreck: async (db) => void (await db.query({ text: "drop index hark.running_jobs_key", values: [] })),
    shows: "two of a key run at once",
  });
  expect(broken).toContain("two of a key run at once");
});
