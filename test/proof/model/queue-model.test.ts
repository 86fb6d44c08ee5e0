import { type Database, openDatabase } from "@hark/core";
import fc from "fast-check";
import { expect, inject, vi } from "vitest";
import { test } from "../../support/fixtures.ts";
import { clearJobs } from "../../support/places.ts";
import { seedOfRun } from "../../support/random.ts";
import { changeFunction, lacking, type TextSeam, without, withSeams } from "../../support/seams.ts";
import { commands, type Real } from "./commands.ts";
import { QueueModel } from "./model.ts";

/** MODEL_RUNS=5000 is the long mode. */
const runs = Number(process.env["MODEL_RUNS"] ?? 120);
/** All of them must have their turn, or the test would promise more than it tries. */
const kinds =
  "arrive begin cancel certify claim claimByType claimHindered end enqueue enqueueMany expire park promote renew requeue rescue settleAndClaim settleAndNext unpark".split(
    " ",
  );
/** Most; the half of them on average, of which some have nothing to do. */
const commandsOfRun = 200;
/** A run takes some 0.1 s. When this is over, what has failed is told as it is, shrunk or not. */
const deadlineMs = 200_000 + runs * 2_000;
vi.setConfig({ testTimeout: deadlineMs + 40_000 });

/**
 * To repeat a failure: TEST_SEED, MODEL_PATH and MODEL_REPLAY are the seed, the path and the
 * replayPath that it prints. Tells of a failure by throwing, with those and the shortest list of
 * commands that fails.
 */
async function runModel(real: Real, options: fc.Parameters<unknown>): Promise<fc.RunDetails<unknown>> {
  const { db } = real;
  const replayPath = process.env["MODEL_REPLAY"];
  const path = process.env["MODEL_PATH"];
  return fc.check(
    fc.asyncProperty(
      fc.commands(commands, { maxCommands: commandsOfRun, size: "max", ...(replayPath && { replayPath }) }),
      async (drawn) => {
        await clearJobs(db);
        const model = new QueueModel();
        await fc.asyncModelRun(() => ({ model, real }), drawn);
        const { rows } = await db.pool.query(
          `select coalesce(sum(completed), 0)::int as completed, coalesce(sum(cancelled), 0)::int as cancelled,
                  coalesce(sum(dead), 0)::int as dead from hark.stats`,
        );
        expect(rows).toEqual([model.counted]);
      },
    ),
    { seed: seedOfRun(), ...(path && { path }), interruptAfterTimeLimit: deadlineMs, ...options },
  );
}

test(`${runs} random lives of a queue leave the database as the model has it after every command`, async ({ db }) => {
  const ran = new Map<string, number>();
  const details = await runModel({ db, on: db, ran }, { numRuns: runs });
  expect(details.failed, details.failed ? fc.defaultReportMessage(details) : "").toBe(false);
  if (details.numRuns < 60) return; // a failure that was repeated
  expect([...ran.keys()].toSorted()).toEqual(kinds);
  expect(Math.min(...ran.values())).toBeGreaterThan(details.numRuns / 10);
});

type Wreck = (db: Database) => Promise<unknown>;

const twins: [name: string, twin: { seams?: TextSeam[]; wreck?: Wreck }][] = [
  ["settles without a token", { seams: [lacking("complete-jobs", "and token = ", "and worker is distinct from ")] }],
  ["counts no crash", { seams: [lacking("rescue-jobs", "crash_count + 1 as crashes", "crash_count as crashes")] }],
  [
    "requeues a job whose unique key is taken",
    { seams: [lacking("requeue-jobs", "where unique_key is null or id in (select job_id from keyed)")] },
  ],
  ["claims for the dead", { seams: [lacking("claim-jobs", "and dead_at is null and expires_at > clock_timestamp()")] }],
  [
    "claims plain jobs for the dead",
    { seams: [lacking("claim-plain-jobs", "and dead_at is null and expires_at > clock_timestamp()")] },
  ],
  [
    "claims jobs with a key as if they were plain",
    {
      seams: [lacking("claim-plain-jobs", "key is not null or max_attempts = 1", "max_attempts = 1")],
    },
  ],
  [
    "claims jobs with a single attempt as if they were plain",
    {
      seams: [lacking("claim-plain-jobs", "key is not null or max_attempts = 1", "key is not null")],
    },
  ],
  [
    "renews what has run out",
    { seams: [lacking("renew-lease", "and dead_at is null and expires_at > clock_timestamp()")] },
  ],
  [
    "claims the next of a key for the dead",
    { seams: [lacking("complete-and-claim-next", "and dead_at is null and expires_at > clock_timestamp()")] },
  ],
  [
    "claims the next of a key before a more urgent job",
    { seams: [lacking("complete-and-claim-next", "first.priority > head.priority or", "true or")] },
  ],
  [
    "parks nothing behind what a hindered claim takes",
    { seams: [lacking("claim-hindered-jobs", "set state = 'parked'", "set state = 'ready'")] },
  ],
  [
    "parks a batch behind the oldest of a key, not the most urgent",
    {
      wreck: (db) =>
        changeFunction(db, "hark.insert_jobs", without("coalesce(priority, 0) DESC, ordinality", "ordinality")),
    },
  ],
  [
    "claims a job by its type while a more urgent one of another type is ready",
    {
      seams: [
        lacking("claim-contended-jobs-by-type", "and priority >= coalesce((select priority from second), heads.least)"),
      ],
    },
  ],
  ["hands no key on", { wreck: (db) => db.pool.query("drop trigger running_jobs_hand_off on hark.running_jobs") }],
  [
    "keeps the unique keys of the dead",
    { wreck: (db) => db.pool.query("drop trigger dead_jobs_free_unique_key on hark.dead_jobs") },
  ],
];

test.for(twins)("a queue that %s is not as the model has it", async ([, { seams = [], wreck }], { server }) => {
  const copy = await server.createDatabase(undefined, { template: inject("template") });
  const db = openDatabase({ connectionString: copy });
  try {
    await wreck?.(db);
    const details = await runModel(
      { db, on: withSeams(db, seams), ran: new Map() },
      { numRuns: 1_000, endOnFailure: true },
    );
    expect(details.failed).toBe(true);
    const { code = "" } = details.errorInstance as { code?: string };
    expect(code, "the twin's own SQL is wrong").not.toMatch(/^42/);
  } finally {
    await db.close();
  }
});
