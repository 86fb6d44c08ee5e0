// @module-tag SEC-27
import { roleNames } from "@hark/core";
import { borrowPool } from "@hark/core";
import { startServer } from "@hark/job-manager";
import { expect } from "vitest";
import { call } from "../support/http.ts";
import { test } from "../support/logins.ts";
import { recordingLogger } from "../support/recording-logger.ts";

/*
 * SEC-27: the audit of changes. A change over HTTP is a line in the server's log. The outcomes of
 * jobs are in the ledger of attempts, which no role can rewrite. There is no table of operators'
 * actions.
 */

const tokenOf = (name: string) => `${name}-0123456789abcdef0123456789abcdef`;

test("a change over HTTP is logged with the caller's name, the job, before and after, and a refused one is not", async ({
  pool,
}) => {
  await pool.query(
    `insert into hark.dead_jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, run_at, created_at, reason,
       error, started_at, finished_at)
     values (7, 'default', 'product', '{"card": "4111"}', 0, 3, 3, 0, now(), now(), 'attempts_exhausted', 'no', now(), now())`,
  );
  const logger = recordingLogger();
  const tokens = [
    { name: "anna", token: tokenOf("anna"), scopes: ["admin" as const] },
    { name: "bert", token: tokenOf("bert"), scopes: ["read" as const] },
  ];
  await using server = await startServer({ database: borrowPool(pool), port: 0, tokens, logger });
  const requeue = async (name: string, id: string) =>
    (
      await call(`${server.url}/api/queue/dead-letter/requeue`, {
        method: "POST",
        headers: { authorization: `Bearer ${tokenOf(name)}` },
        body: { id },
      })
    ).status;

  expect([await requeue("bert", "7"), await requeue("anna", "8"), await requeue("anna", "7")]).toEqual([403, 404, 200]);

  const audit = logger.lines.filter(({ message }) => message === "dead letter requeued");
  expect(audit.map(({ level, facts }) => ({ level, facts }))).toEqual([
    { level: "info", facts: { caller: "anna", jobId: "7", type: "product", from: "dead", to: "ready" } },
  ]);

  await pool.query(
    `insert into hark.dead_jobs select n, 'default', 'product', '{"card": "4111"}', 0, 3, 3, 0, null, null, now(), now(),
       'attempts_exhausted', 'no', now(), now() from generate_series(21, 23) n`,
  );
  const headers = { authorization: `Bearer ${tokenOf("anna")}` };
  expect((await call(`${server.url}/api/queue/dead-letter/21`, { method: "DELETE", headers })).status).toBe(200);
  const prune = { method: "POST", headers, body: { older_than: 0, type: "product" } };
  expect((await call(`${server.url}/api/queue/dead-letter/prune`, prune)).body.data.deleted).toBe(2);
  const deletions = logger.lines.filter(({ message }) => /^dead letters? (deleted|pruned)$/.test(message));
  expect(deletions.map(({ level, facts }) => ({ level, facts }))).toEqual([
    { level: "info", facts: { caller: "anna", jobId: "21", type: "product", from: "dead", to: "deleted" } },
    { level: "info", facts: { caller: "anna", olderThan: 0, type: "product", deleted: 2 } },
  ]);
  expect(JSON.stringify(logger.lines)).not.toMatch(/4111|0123456789abcdef/);
});

test("no role can change or remove rows of the ledger or of history, one by one or all at once", async ({
  logIn,
  pool,
}) => {
  await pool.query(
    "insert into hark.attempts (job_id, queue, type, attempt, ending, finished_at) values (1, 'q', 't', 1, 'cancelled', now())",
  );
  for (const role of roleNames) {
    const { client } = await logIn(role);
    for (const table of ["attempts", "attempts_default", "finished_jobs", "finished_jobs_default"])
      for (const statement of [
        `update hark.${table} set queue = 'other'`,
        `delete from hark.${table}`,
        `truncate hark.${table}`,
        `drop table hark.${table}`,
        `alter table hark.${table} rename to gone`,
      ])
        await expect(client.query(statement), `${role}: ${statement}`).rejects.toMatchObject({ code: "42501" });
  }
  expect((await pool.query("select queue, ending from hark.attempts where job_id = 1")).rows).toEqual([
    { queue: "q", ending: "cancelled" },
  ]);
});
