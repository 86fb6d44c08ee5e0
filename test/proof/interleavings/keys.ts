import { randomUUID } from "node:crypto";
import type { Queryable } from "@hark/core";
import { statements } from "@hark/core/internal";
import { claim, completed, insertJob, insertJobs, registerWorker } from "../../support/jobs.ts";
import { type Place, placesOf } from "../../support/places.ts";
import { begin, type Scenario, type Step } from "./scenario.ts";

const queue = "keys";
const key = "k";

/** Jobs of one key. */
export interface World {
  /** Runs under the key. */
  held: statements.ClaimedJob;
  /** Ready or parked under the key, in order of their ids. */
  waiting: bigint[];
  worker: string;
}

const plain = (text: string) => ({ text, values: [] });

export const settle = begin<World>("settle", (on, { held }) => statements.completeJobs(on, completed(held)));
export const settleAndNext = begin<World>("settle and next", (on, { held, worker }) =>
  statements.completeAndClaimNext(on, { ...completed(held), worker, token: randomUUID(), types: ["test.plain"] }),
);
export const park = begin<World>("park", (on) => statements.parkBlocked(on, { queue, keys: [key] }));
export const cancel = (place: number): Step<World> =>
  begin<World>("cancel", (on, { waiting }) => statements.cancelJob(on, { id: waiting[place]! }));
export const cancelRunning = begin<World>("cancel running", (on, { held }) =>
  statements.cancelJob(on, { id: held.id }),
);
export const retry = begin<World>("retry", (on, { held: { id, token } }) =>
  statements.retryJobs(on, statements.retriedOf([{ id, token, ending: "error", error: "", delayMs: 0, attempt: 1 }])),
);
export const rescue = begin<World>("rescue", async (on, { worker }) => {
  await statements.leaveWorkers(on, { id: worker });
  return statements.rescueJobs(on, { limit: 10 });
});
export const insert = begin<World>("insert", (on) => insertJob(on, { queue, key }));
/** Three jobs in one statement, of which the most urgent that is due is ready. */
export const insertSiblings = (on: Queryable): Promise<bigint[]> =>
  insertJobs(on, [
    { queue, key },
    { queue, key, priority: 1 },
    { queue, key, priority: 2, delayMs: 3_600_000 },
  ]);
export const insertBatch = begin<World>("insert batch", insertSiblings);

export const claimByType = begin<World>("claim by type", (on, { worker }) =>
  statements.claimJobsByType(on, { queue, worker, types: ["test.plain"], limit: 1, token: randomUUID() }),
);

/** A claim of two jobs that goes on as the worker's does if another took the key. */
export const claimTwo = (how: Pick<statements.ClaimRequest, "isContended" | "isHindered"> = {}): Step<World> =>
  begin<World>("claim", async (on) => {
    const request = { queue, worker: await registerWorker(on), limit: 2, ...how };
    await on.query(plain("savepoint claim"));
    return claim(on, request).catch(async (error: unknown) => {
      if (!statements.isKeyContended(error)) throw error;
      await on.query(plain("rollback to savepoint claim"));
      return claim(on, { ...request, isContended: true });
    });
  });

/** Opens a transaction that sees the tables as they are now until its end. */
export const takeSnapshot: Step<World> = begin<World>(
  "take snapshot",
  (on) => on.query(plain("select count(*) from hark.jobs")),
  "repeatable read",
);

/** Settles in it, or, where it cannot since others changed the row, in another one. */
export const settleInSnapshot: Step<World> = {
  name: "settle in snapshot",
  run: (on, { held }) =>
    statements.completeJobs(on, completed(held)).catch(async (error: unknown) => {
      if ((error as { code?: string }).code !== "40001") throw error;
      await on.query(plain("rollback"));
      await on.query(plain("begin"));
      return statements.completeJobs(on, completed(held));
    }),
};

/** A running job and jobs behind it that are ready or parked. */
export const prepare = (state: "ready" | "parked", behind = 2): Scenario<World>["prepare"] => {
  return async (db) => {
    const worker = await registerWorker(db);
    await insertJob(db, { queue, key });
    const [held] = await claim(db, { queue, worker });
    const waiting: bigint[] = [];
    while (waiting.length < behind) waiting.push(await insertJob(db, { queue, key }));
    if (state === "parked") await statements.parkBlocked(db, { queue, keys: [key] });
    const handsOff = state === "parked";
    return { held: { ...held!, handsOff }, waiting, worker };
  };
};

/** Whether jobs are parked while none of the key is ready and none runs that would hand it on. */
async function isStranded(db: Queryable): Promise<boolean> {
  const { rows } = await db.query(
    plain(`select exists (select from hark.jobs where state = 'parked')
              and not exists (select from hark.jobs where state = 'ready')
              and not exists (select from hark.running_jobs where hands_off) as is_stranded`),
  );
  return rows[0]!["is_stranded"] as boolean;
}

/**
 * No two jobs run at once, each job has one place, and a parked job has another before it that will
 * hand the key on. If none will, a notification was sent, and the look that follows finds it.
 */
export const judge: Scenario<World>["judge"] = async (db, _world, { keysWaiting }) => {
  const wrong: string[] = [];
  const places = await placesOf(db);
  const count = (state: Place["state"]) => places.filter((place) => place.state === state).length;
  if (new Set(places.map(({ id }) => id)).size !== places.length) wrong.push("a job in two places");
  if (count("running") > 1) wrong.push("two of a key run at once");
  if (!(await isStranded(db))) return wrong;
  if (keysWaiting === 0) return [...wrong, "parked for ever"];
  await statements.unparkJobs(db, { ...statements.firstKey, limit: 10 });
  return (await isStranded(db)) ? [...wrong, "parked for ever, though looked for"] : wrong;
};
