import { randomUUID } from "node:crypto";
import type { Database } from "@hark/core";
import { statements } from "@hark/core/internal";
import { expect } from "vitest";
import { registerWorker } from "./jobs.ts";
import { type StartServer, test as base } from "./servers.ts";

/** The token of the servers that {@link test} starts. */
export const bearer = "an-operator's-token";

/** A test of the API with a token, on empty tables. */
export const test = base
  .extend(
    "start",
    ({ start }): StartServer =>
      (options = {}) =>
        start({ token: bearer, ...options }),
  )
  .extend("call", async ({ start }) => {
    const { url } = await start();
    return (method: string, path: string, body?: unknown) => callTo(url, method, path, body);
  })
  /** Runs before each test, since the file's tests share a database. */
  .extend("emptied", { auto: true }, async ({ pool }) => {
    await pool.query(
      "truncate hark.jobs, hark.running_jobs, hark.dead_jobs, hark.finished_jobs, hark.unique_keys, hark.workers, hark.stats",
    );
  });

/** Sends one call to a server, with its token. */
export async function callTo(url: string, method: string, path: string, body?: unknown) {
  const response = await fetch(url + path, {
    method,
    headers: { authorization: `Bearer ${bearer}`, ...(body !== undefined && { "content-type": "application/json" }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as any };
}

export interface Doomed {
  type?: string;
  payload?: unknown;
  priority?: number;
  uniqueKey?: string;
  error?: string;
}

/** Claims a job and makes it a dead letter. Returns its id. */
export async function makeDeadLetter(database: Database, doomed: Doomed = {}): Promise<bigint> {
  const {
    type = "product",
    payload = { target_url: "https://shop.example/", metadata: {} },
    error = "Error: no",
  } = doomed;
  const queue = `q-${randomUUID()}`;
  const worker = await registerWorker(database);
  const token = randomUUID();
  const job = { type, queue, payloadJson: JSON.stringify(payload), priority: doomed.priority ?? 0, maxAttempts: 3 };
  const rest = { key: undefined, uniqueKey: doomed.uniqueKey, runAt: undefined, delayMs: undefined };
  const [inserted] = await statements.insertJobs(database, { jobs: statements.jobsJson([{ ...job, ...rest }]) });
  await statements.claimJobs(database, { queue, limit: 1, worker, token, types: [type] });
  const buried = { id: inserted!.id, token, ending: "error", reason: "attempts_exhausted", error } as const;
  expect(await statements.buryJobs(database, statements.buriedOf([buried]))).toHaveLength(1);
  await statements.leaveWorkers(database, { id: worker });
  return inserted!.id;
}
