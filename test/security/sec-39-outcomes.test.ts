// @module-tag SEC-39
import { randomUUID } from "node:crypto";
import { borrowPool, openDatabase } from "@hark/core";
import { statements } from "@hark/core/internal";
import { expect } from "vitest";
import { claim, insertJob, registerWorker } from "../support/jobs.ts";
import { type Login, test as base } from "../support/logins.ts";

/*
 * SEC-39: the right to write outcomes. The token decides, not the queue. A worker's login is
 * trusted with every queue of its database (docs/decisions/0020). A login without the token of a
 * claim, or without a worker's rights, cannot settle a job.
 */

const test = base.extend("db", { scope: "file" }, ({ pool }) => borrowPool(pool));

const ways = (claimed: statements.Claim) => ({
  complete: (on: Login) =>
    connectedAs(on, (db) => statements.completeJobs(db, statements.completionsOf([{ ...claimed, resultJson: null }]))),
  retry: (on: Login) =>
    connectedAs(on, (db) =>
      statements.retryJobs(
        db,
        statements.retriedOf([{ ...claimed, ending: "error", error: "no", delayMs: 0, attempt: 1 }]),
      ),
    ),
  bury: (on: Login) =>
    connectedAs(on, (db) =>
      statements.buryJobs(
        db,
        statements.buriedOf([{ ...claimed, ending: "fatal", reason: "unrecoverable", error: "no" }]),
      ),
    ),
});

async function connectedAs<Answer>(
  { url }: Login,
  work: (db: ReturnType<typeof openDatabase>) => Promise<Answer>,
): Promise<Answer> {
  const db = openDatabase({ connectionString: url, maxConnections: 1 });
  try {
    return await work(db);
  } finally {
    await db.close();
  }
}

test("a worker without the token of a claim cannot settle a job, in its own queue or another's", async ({
  db,
  logIn,
}) => {
  const worker = await logIn("hark_worker");
  for (const queue of ["own", "others"]) {
    const owner = await registerWorker(db);
    await insertJob(db, { queue });
    const [claimed] = await claim(db, { queue, worker: owner });
    for (const settle of Object.values(ways({ id: claimed!.id, token: randomUUID() })))
      expect(await settle(worker)).toEqual([]);
    expect(await statements.heldClaims(db, { ids: [claimed!.id], tokens: [claimed!.token] })).toHaveLength(1);
  }
});

test("producers and readers cannot settle even with the token, and a worker with it can in any queue", async ({
  db,
  logIn,
}) => {
  const owner = await registerWorker(db);
  const id = await insertJob(db, { queue: "matrix" });
  const [claimed] = await claim(db, { queue: "matrix", worker: owner });
  for (const role of ["hark_producer", "hark_reader"] as const) {
    const login = await logIn(role);
    for (const settle of Object.values(ways(claimed!)))
      await expect(settle(login)).rejects.toMatchObject({ code: "42501" });
    const tokens = login.client.query("select token from hark.running_jobs");
    await expect(tokens).rejects.toMatchObject({ code: "42501" });
  }
  expect(await ways(claimed!).complete(await logIn("hark_worker"))).toEqual([{ id }]);
});
