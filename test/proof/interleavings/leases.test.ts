import { randomUUID } from "node:crypto";
import type { Queryable } from "@hark/core";
import { statements } from "@hark/core/internal";
import { expect } from "vitest";
import { claim, completed, insertJob, registerWorker } from "../../support/jobs.ts";
import { placesOf } from "../../support/places.ts";
import { lacking, type TextSeam } from "../../support/seams.ts";
import { test } from "./fixtures.ts";
import { beganBefore, begin, commit, hourPasses, type Scenario } from "./scenario.ts";

const queue = "leases";
const minute = 60_000;

interface Leases {
  worker: string;
  held: statements.ClaimedJob;
  ready: bigint;
}

/**
 * The statement of a claim, by whether it claims only plain jobs, which need not wait for the disk.
 */
const claims = [
  ["claim-jobs", { mayDefer: false }],
  ["claim-plain-jobs", { mayDefer: true }],
] as const;

/**
 * A worker holds one job, claims another, renews and settles, while its lease runs out and another
 * worker declares it dead.
 */
const leases = (how: { mayDefer: boolean; mayRevive?: boolean }): Scenario<Leases> => ({
  sessions: {
    claimer: [begin("claim", (on, { worker }) => claim(on, { queue, worker, ...how })), commit],
    keeper: [
      begin("renew", (on, { worker }) =>
        statements.renewLease(on, { id: worker, leaseMs: 100 * minute, knownFleet: "", mayRevive: how.mayRevive }),
      ),
      commit,
    ],
    settler: [begin("settle", (on, { held }) => statements.completeJobs(on, completed(held))), commit],
    rescuer: [
      hourPasses,
      begin("certify", (on) => statements.certifyDeaths(on, {})),
      commit,
      { name: "rescue", run: (on) => statements.rescueJobs(on, { limit: 10 }) },
    ],
  },
  async prepare(db) {
    const worker = await registerWorker(db, { leaseMs: minute });
    await insertJob(db, { queue });
    const [held] = await claim(db, { queue, worker });
    return { worker, held: held!, ready: await insertJob(db, { queue }) };
  },
  async judge(db, { worker, held, ready }, run) {
    const wrong: string[] = [];
    const places = await placesOf(db);
    const isDead = (
      await db.query({ text: "select from hark.workers where id = $1 and dead_at is not null", values: [worker] })
    ).rows.length;
    const count = (step: string) => (run.answers[step] as unknown[]).length;
    const isInTime = (step: string) => beganBefore(run, step, "rescuer.hour passes");

    if (!how.mayRevive && count("keeper.renew") !== Number(isInTime("keeper.renew")))
      wrong.push("renewed after the lease's end, or not before it");
    if (isDead === count("keeper.renew")) wrong.push("both renewed and certified dead, or neither");
    if (isDead && !isInTime("claimer.claim") && count("claimer.claim") > 0) wrong.push("claimed after the lease's end");

    for (const id of [held.id, ready]) {
      const found = places.filter((place) => place.id === id);
      if (found.length !== 1) wrong.push(`job ${id} stands in ${found.length} places`);
      for (const { state, attempt, crashCount, lines } of found) {
        if (state === "running" && isDead) wrong.push(`job ${id} is left with the dead worker`);
        if (crashCount > 0 && !isDead) wrong.push(`job ${id} was taken from a live worker`);
        if (crashCount !== lines || crashCount > attempt)
          wrong.push(`job ${id}: ${crashCount} crashes, ${lines} lines`);
        if (id === ready && attempt !== count("claimer.claim")) wrong.push(`job ${id} was tried ${attempt} times`);
        if (id === held.id && (state === "completed") !== (count("settler.settle") === 1))
          wrong.push(`job ${id} is ${state}, though ${count("settler.settle")} were settled`);
      }
    }
    return wrong;
  },
});

test.for(claims)(
  "in any order of %s, renewal, end of the lease, certificate, rescue and settle, a dead worker holds no job and a live one keeps its jobs",
  { tags: ["FM-21", "OWNED-3"] },
  async ([, how], { explore }) => {
    const { broken, waits } = await explore(leases(how));
    expect(broken).toBeUndefined();
    expect(waits).toBeGreaterThan(0);
  },
);

test(
  "in any order of claim, revival, end of the lease, certificate, rescue and settle, a lease is revived or its worker dead",
  { tags: ["FM-76", "OWNED-3"] },
  async ({ explore }) => {
    expect((await explore(leases({ mayDefer: true, mayRevive: true }))).broken).toBeUndefined();
  },
);

test("a revival of the dead is found", async ({ explore }) => {
  const seam = lacking("renew-lease", "where id = $1 and dead_at is null", "where id = $1");
  const { broken } = await explore(leases({ mayDefer: true, mayRevive: true }), { seams: [seam] });
  expect(broken).toMatch(/both renewed and certified dead|left with the dead worker/);
});

test.for(claims)("%s that does not lock its worker's row is found", async ([statement, how], { explore }) => {
  const seams = [lacking(statement, "for key share")];
  expect((await explore(leases(how), { seams })).broken).toContain("left with the dead worker");
});

test.for(claims)("%s after the lease's end is found", async ([statement, how], { explore }) => {
  const seams = [lacking(statement, "and expires_at > clock_timestamp()")];
  expect((await explore(leases(how), { seams })).broken).toContain("claimed after the lease's end");
});

const twins: [name: string, seam: TextSeam, found: string | RegExp][] = [
  [
    "a renewal of a lease that has run out",
    lacking(
      "renew-lease",
      "and dead_at is null and (expires_at > clock_timestamp() or $4::boolean is true)",
      "and $4::boolean is not true",
    ),
    "renewed after the lease's end",
  ],
  [
    "a certificate that does not lock first",
    lacking("certify-deaths", "order by id for update"),
    /both renewed and certified dead|left with the dead worker/, // depends on which order comes first
  ],
  [
    "a rescue that takes a dead worker for alive",
    lacking("rescue-jobs", "and dead_at is null"),
    "left with the dead worker",
  ],
  [
    "a rescue that takes a live worker for dead",
    lacking("rescue-jobs", "workers.id = job.worker and dead_at is null", "false"),
    "taken from a live worker",
  ],
];

test.for(twins)("%s is found", async ([, seam, found], { explore }) => {
  expect((await explore(leases({ mayDefer: true }), { seams: [seam] })).broken).toMatch(found);
});

interface Stale {
  held: statements.ClaimedJob;
  other: string;
  /** The jobs of the claim after the rescue. */
  again: statements.ClaimedJob[];
}

/**
 * A job of a dead worker is rescued and claimed again, while its former owner settles it late and a
 * user cancels it.
 */
const staleOwner = (how: { mayDefer: boolean }): Scenario<Stale> => ({
  sessions: {
    rescuer: [begin("rescue", (on) => statements.rescueJobs(on, { limit: 10 })), commit],
    stale: [begin("settle", (on, { held }) => statements.completeJobs(on, completed(held))), commit],
    canceller: [begin("cancel", (on, { held }) => statements.cancelJob(on, { id: held.id })), commit],
    other: [
      begin("claim", async (on, world) => {
        world.again = await claim(on, { queue, worker: world.other, token: randomUUID(), ...how });
        return world.again;
      }),
      commit,
      begin("settle", (on, { again }) => statements.completeJobs(on, completed(...again))),
      commit,
    ],
  },
  async prepare(db) {
    const worker = await registerWorker(db);
    await insertJob(db, { queue, uniqueKey: "u", key: how.mayDefer ? undefined : "k" });
    const [held] = await claim(db, { queue, worker });
    await statements.leaveWorkers(db, { id: worker });
    return { held: held!, other: await registerWorker(db), again: [] };
  },
  async judge(db, { held, other, again }, run) {
    const wrong: string[] = [];
    const places = await placesOf(db);
    const [place] = places;
    if (places.length !== 1 || !place) return [`the job is in ${places.length} places`];

    const count = (step: string) => (run.answers[step] as unknown[] | undefined)?.length ?? 0;
    const [{ rescued }] = run.answers["rescuer.rescue"] as [{ rescued: number }];
    const ends = count("stale.settle") + count("canceller.cancel") + count("other.settle");
    const isFinal = place.state === "completed" || place.state === "cancelled";
    if (ends > 1) wrong.push(`${ends} ends`);
    if (isFinal !== (ends === 1)) wrong.push(`${place.state} after ${ends} ends`);
    if (count("stale.settle") > 0 && rescued > 0) wrong.push("the former owner's outcome was written");
    if (again.length > rescued) wrong.push("claimed without a rescue");
    if (!isFinal && again.length > 0) wrong.push("its new owner lost it");
    if (place.state === "running" && again.length === 0 && place.token !== held.token) wrong.push("an unknown token");
    if (place.worker === other && place.state === "running") wrong.push("settled, but runs");
    if (place.crashCount !== rescued) wrong.push(`${place.crashCount} crashes of ${rescued} rescues`);
    if ((place.keyHolder === null) !== isFinal) wrong.push(`${place.state}, unique key of ${place.keyHolder}`);
    const { rows } = await db.query({
      text: "select coalesce(sum(completed + cancelled), 0)::int as ended from hark.stats",
      values: [],
    });
    if (rows[0]!.ended !== ends) wrong.push(`${String(rows[0]!.ended)} counted of ${ends}`);
    return wrong;
  },
});

test.for(claims)(
  "in any order of rescue, %s, cancel and the former owner's settle, a job has one end and one place",
  async ([, how], { explore }) => {
    const { broken, waits } = await explore(staleOwner(how));
    expect(broken).toBeUndefined();
    expect(waits).toBeGreaterThan(0);
  },
);

test("a settle that does not check the token is found", async ({ explore }) => {
  const seam = lacking("complete-jobs", "token = ($2::uuid[])[", "null is distinct from ($2::uuid[])[");
  const whole = staleOwner({ mayDefer: true });
  const uncancelled = { ...whole, sessions: { ...whole.sessions, canceller: [] } };
  expect((await explore(uncancelled, { seams: [seam] })).broken).toContain("former owner");
});

/** The guard that retry and burial share. */
const tokenByOutcome = "and token = ($2::jsonb -> id::text ->> 'token')::uuid";

/**
 * Other statements that a former owner may still send for its job. Each returns the jobs that it
 * moved.
 */
const lateMoves: Record<
  string,
  { send: (on: Queryable, held: statements.ClaimedJob) => Promise<unknown[]>; to: string; seam: TextSeam }
> = {
  retry: {
    send: (on, held) => {
      const failed = { ...held, ending: "error", error: "late", delayMs: minute } as const;
      return statements.retryJobs(on, statements.retriedOf([failed]));
    },
    to: "scheduled",
    seam: lacking("retry-jobs", tokenByOutcome),
  },
  snooze: {
    send: (on, held) => {
      const snoozed = { ...held, ending: "snoozed", error: null, delayMs: minute, attempt: 0 } as const;
      return statements.retryJobs(on, statements.retriedOf([snoozed]));
    },
    to: "scheduled",
    seam: lacking("retry-jobs", tokenByOutcome),
  },
  burial: {
    send: (on, held) => {
      const buried = { ...held, ending: "fatal", reason: "unrecoverable", error: "late" } as const;
      return statements.buryJobs(on, statements.buriedOf([buried]));
    },
    to: "dead",
    seam: lacking("bury-jobs", tokenByOutcome),
  },
  "claim with a piggybacked completion": {
    send: async (on, held) => {
      const request = { queue, worker: randomUUID(), token: randomUUID(), limit: 1, types: ["test.plain"] };
      const { refused } = await statements.claimJobs(on, request, completed(held));
      return refused.has(held.id) ? [] : [held.id];
    },
    to: "completed",
    seam: lacking("settle-and-claim-jobs", "token = ($9::uuid[])[", "null is distinct from ($9::uuid[])["),
  },
};

/**
 * A job of a dead worker is rescued, claimed again and settled, while its former owner sends its
 * move late.
 */
function lateMove({ send, to }: (typeof lateMoves)[string]): Scenario<Stale> {
  const whole = staleOwner({ mayDefer: false });
  return {
    ...whole,
    sessions: {
      rescuer: [begin("rescue", (on) => statements.rescueJobs(on, { limit: 10 })), commit],
      stale: [begin("move", (on, { held }) => send(on, held)), commit],
      other: whole.sessions["other"]!,
    },
    async judge(db, { again }, run) {
      const wrong: string[] = [];
      const places = await placesOf(db);
      const [place] = places;
      if (places.length !== 1 || !place) return [`the job is in ${places.length} places`];
      const moved = (run.answers["stale.move"] as unknown[]).length;
      const [{ rescued }] = run.answers["rescuer.rescue"] as [{ rescued: number }];
      const settled = (run.answers["other.settle"] as unknown[]).length;
      if (moved + rescued !== 1) wrong.push(`the former owner's move counted ${moved} times beside ${rescued} rescues`);
      if (settled !== again.length) wrong.push("its new owner lost it");
      const due = moved > 0 ? to : again.length > 0 ? "completed" : "ready";
      if (place.state !== due) wrong.push(`${place.state} instead of ${due}`);
      const isFinal = due === "completed" || due === "dead";
      if ((place.keyHolder === null) !== isFinal) wrong.push(`${place.state}, unique key of ${place.keyHolder}`);
      return wrong;
    },
  };
}

test.for(Object.entries(lateMoves))(
  "in any order of rescue, new claim and a former owner's %s, only one of them has the job",
  { tags: ["FM-20", "OWNED-1"] },
  async ([, move], { explore }) => {
    expect((await explore(lateMove(move))).broken).toBeUndefined();
  },
);

test.for(Object.entries(lateMoves))(
  "a %s that does not check the token is found",
  { tags: ["FM-20"] },
  async ([, move], { explore }) => {
    const { broken } = await explore(lateMove(move), { seams: [move.seam] });
    expect(broken).toContain("the former owner's move counted 1 times beside 1 rescues");
  },
);
