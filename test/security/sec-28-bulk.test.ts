// @module-tag SEC-28
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect } from "vitest";
import { root } from "../docs/blocks.ts";
import { call } from "../support/http.ts";
import { test } from "../support/servers.ts";

/*
 * SEC-28: The API requeues and deletes one dead letter a call. Many go only by an age that the
 * caller has to name, and never jobs that wait or run. The command requires --all or an age, and
 * shows in advance what it would do. History is dropped one day a call, and never today's.
 */

const token = "0123456789abcdef0123456789abcdef";
const headers = { authorization: `Bearer ${token}` };

test("no call of the API requeues or deletes more than one job, but for dead letters of an age", async ({
  start,
  pool,
}) => {
  const { url } = await start({ token });
  await makeDead(pool, 3);
  for (const body of [
    { id: ["1", "2"] },
    { ids: ["1", "2"] },
    { all: true },
    { index: [0, 1] },
    { id: "1", index: 1 },
    {},
    [{ id: "1" }],
  ]) {
    const answer = await call(`${url}/api/queue/dead-letter/requeue`, { method: "POST", headers, body });
    expect(answer.status, JSON.stringify(body)).toBe(400);
  }
  for (const body of [
    {},
    { all: true },
    { type: "product" },
    { ids: ["1"] },
    { older_than: null },
    { older_than: "0" },
  ]) {
    const answer = await call(`${url}/api/queue/dead-letter/prune`, { method: "POST", headers, body });
    expect(answer.status, JSON.stringify(body)).toBe(400);
  }
  for (const ids of ["1,2", "*", "all", "1%2C2"])
    expect((await call(`${url}/api/queue/dead-letter/${ids}`, { method: "DELETE", headers })).status, ids).toBe(404);
  for (const method of ["DELETE", "PUT", "PATCH"])
    for (const path of ["jobs", "dead-letter", "dead-letter/requeue", "stats"])
      expect([404, 405], `${method} ${path}`).toContain(
        (await call(`${url}/api/queue/${path}`, { method, headers })).status,
      );
  expect((await pool.query("select from hark.dead_jobs")).rowCount).toBe(3);
});

test("the command requires --all, and can show what it would do without doing it", async ({ databaseUrl, pool }) => {
  await makeDead(pool, 3);
  const hark = (...args: string[]) =>
    promisify(execFile)(process.execPath, [`${root}packages/cli/dist/main.js`, "dead", "requeue", ...args], {
      env: { ...process.env, DATABASE_URL: databaseUrl },
      timeout: 60_000,
    });
  for (const args of [[], ["--all", "1"], ["--type", "product"], ["all"]])
    await expect(hark(...args), args.join(" ")).rejects.toMatchObject({ code: 2 });
  expect((await hark("--all", "--dry-run")).stdout).toBe("1\n2\n3\n");
  expect((await pool.query("select from hark.dead_jobs")).rowCount).toBe(3);
});

test("each call drops the oldest day of history, and never a day that is kept", async ({ pool }) => {
  const days = async () =>
    (
      await pool.query<{ day: string }>(
        `select right(inhrelid::regclass::text, 8) as day from pg_inherits where inhparent = 'hark.attempts'::regclass
            and inhrelid::regclass::text ~ '[0-9]{8}$' order by 1`,
      )
    ).rows.map(({ day }) => day);
  const kept = await days();
  for (const [from, to] of [
    ["2020-01-01", "2020-01-02"],
    ["2020-01-02", "2020-01-03"],
  ])
    await pool.query(
      `create table hark.attempts_${from!.replaceAll("-", "")} partition of hark.attempts for values from ('${from}') to ('${to}')`,
    );
  const drop = () => pool.query("select hark.drop_partitions(1)");
  await drop();
  expect(await days()).toEqual(["20200102", ...kept]);
  for (let calls = 0; calls < 5; calls += 1) await drop();
  expect(await days()).toEqual(kept);
});

/** Makes exactly `many` dead letters. */
async function makeDead(pool: { query(text: string, values?: unknown[]): Promise<unknown> }, many: number) {
  await pool.query("truncate hark.dead_jobs");
  await pool.query(
    `insert into hark.dead_jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, run_at, created_at, reason,
       error, started_at, finished_at)
     select n, 'default', 'product', '{}', 0, 3, 3, 0, now(), now(), 'attempts_exhausted', 'no', now(), now()
       from generate_series(1, $1::int) n`,
    [many],
  );
}
