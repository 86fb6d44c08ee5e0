import { PostgresQueue } from "@hark/job-manager";
import { expect } from "vitest";
import { test } from "../support/fixtures.ts";

test("a PostgresQueue alone makes partitions, drops old history, and folds the counts of finished jobs", async ({
  databaseUrl,
  pool,
}) => {
  const names = async () =>
    (
      await pool.query<{ name: string }>(
        "select relname as name from pg_class where relname ~ '^attempts_[0-9]{8}$' order by 1",
      )
    ).rows.map(({ name }) => name);
  const known = await names();
  await pool.query(`drop table hark.${known.at(-1)!}`);
  await pool.query(
    `create table hark.attempts_20200101 partition of hark.attempts for values from ('2020-01-01 00:00Z') to ('2020-01-02 00:00Z')`,
  );
  await pool.query("insert into hark.stats (queue, completed) select 'default', 1 from generate_series(1, 100)");

  await using queue = new PostgresQueue({ connectionString: databaseUrl });
  await queue.enqueue({ type: "product", target_url: "https://example.com/" });
  const job = (await queue.dequeue())!;
  await queue.completeJob(job);

  await expect.poll(names, { timeout: 60_000 }).toEqual(known);
  await expect
    .poll(
      async () => (await pool.query<{ rows: number }>("select count(*)::int as rows from hark.stats")).rows[0]!.rows,
      {
        timeout: 60_000,
      },
    )
    .toBeLessThanOrEqual(2);
});

test("a PostgresQueue keeps history for as long as it is told", async ({ databaseUrl, pool }) => {
  const old = new Date(Date.now() - 10 * 86_400_000).toISOString().slice(0, 10);
  const table = `attempts_${old.replaceAll("-", "")}`;
  await pool.query(
    `create table hark.${table} partition of hark.attempts for values from ('${old} 00:00Z') to ('${old} 00:00Z'::timestamptz + interval '1 day')`,
  );
  const isThere = async () => (await pool.query("select from pg_class where relname = $1", [table])).rowCount === 1;
  {
    await using queue = new PostgresQueue({ connectionString: databaseUrl, keepDays: 30 });
    await queue.dequeue({ wait: 500 });
    expect(await isThere()).toBe(true);
  }
  await using queue = new PostgresQueue({ connectionString: databaseUrl });
  await queue.dequeue();
  await expect.poll(isThere, { timeout: 60_000 }).toBe(false);
  expect(() => new PostgresQueue({ connectionString: databaseUrl, keepDays: 0 })).toThrow("keepDays");
});
