import { statements } from "@hark/core/internal";
import { expect } from "vitest";
import { eventually } from "../support/eventually.ts";
import { test as databaseTest } from "../support/fixtures.ts";
import { done, test } from "../support/job-manager.ts";

const within = { withinMs: 55_000 };

const turn = { host: "shop.example", priority: 3, delayMs: 60_000, patienceMs: 0 };

databaseTest("callers at the same time get turns one delay apart", async ({ db }) => {
  const host = "many.example";
  const turns = await Promise.all(Array.from({ length: 20 }, () => statements.takeTurn(db, { ...turn, host })));

  expect(turns.filter(([first]) => first!.isGranted)).toHaveLength(1);
  const waits = turns.map(([first]) => first!.waitMs).toSorted((one, other) => one - other);
  const places = waits.map((waitMs) => Math.round(waitMs / turn.delayMs)).slice(0, 11);
  expect(places).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]); // later ones are told to ask again in ten minutes
  expect(Math.max(...waits)).toBeLessThanOrEqual(600_000);
});

databaseTest("a turn within the caller's patience is granted, and counts", async ({ db }) => {
  const request = { ...turn, host: "patient.example", delayMs: 100, patienceMs: 60_000 };
  for (const [least, most] of [
    [0, 0],
    [0, 100],
    [100, 200],
    [200, 300],
  ] as const) {
    const [{ isGranted, waitMs }] = (await statements.takeTurn(db, request)) as [statements.Turn];
    expect(isGranted).toBe(true);
    expect(waitMs).toBeLessThanOrEqual(most);
    if (most > 0) expect(waitMs).toBeGreaterThan(least - 100);
  }
});

databaseTest("a more urgent caller is told to come before those that wait already", async ({ db }) => {
  const ask = async (priority: number) => {
    const [answer] = await statements.takeTurn(db, { ...turn, host: "urgent.example", priority });
    return answer!.isGranted ? "granted" : Math.round(answer!.waitMs / turn.delayMs);
  };
  expect([await ask(3), await ask(3), await ask(3), await ask(9), await ask(6), await ask(3), await ask(100)]).toEqual([
    "granted",
    1,
    2,
    1,
    2, // behind the one of priority 9, and before all of priority 3
    3, // behind everyone
    1,
  ]);

  // A minute later the turn is free. It is for the most urgent, and nobody else takes it.
  await db.pool.query(
    `update hark.hosts set free_at = free_at - interval '1 min',
            lines = array(select line - interval '1 min' from unnest(lines) with ordinality as l (line, n) order by n)
      where host = 'urgent.example'`,
  );
  expect([await ask(3), await ask(9), await ask(100)]).toEqual([3, 1, "granted"]);
});

databaseTest("hosts that nobody visits, and locks that expired, are swept", async ({ db }) => {
  const lock = { owner: "o", token: crypto.randomUUID() };
  await statements.takeTurn(db, { ...turn, host: "old.example" });
  await statements.takeTurn(db, { ...turn, host: "new.example" });
  await db.pool.query("update hark.hosts set free_at = now() - interval '2 hours' where host = 'old.example'");
  await db.pool.query(
    `insert into hark.locks select name, $1, 1, $2, now() - interval '1 h', now() + age
       from (values ('expired', interval '-1 s'), ('held', interval '1 h')) as l (name, age)`,
    [lock.token, lock.owner],
  );

  expect(await statements.sweepExpired(db, { limit: 1_000 })).toEqual([{ locks: 1, hosts: 1 }]);

  const { rows } = await db.pool.query(
    "select key as name from hark.locks union all select host from hark.hosts where host like '%old%' or host like '%new%'",
  );
  expect(rows.map(({ name }) => name)).toEqual(["held", "new.example"]);
});

test("a worker sweeps", async ({ manage, sql }) => {
  await sql.query("insert into hark.locks values ('expired', gen_random_uuid(), 1, 'o', now(), now())");
  await manage(() => done);
  await eventually(async () => (await sql.query("select from hark.locks")).rowCount === 0, within);
});

test("jobs of one host start one delay apart over all JobManagers, and those of other hosts do not wait", async ({
  manage,
  sql,
}) => {
  const requestDelay = 400;
  const startedAt = new Map<string, number>();
  const processor = async ({ target_url }: { target_url: string }) => {
    const { rows } = await sql.query("select extract(epoch from clock_timestamp())::float8 * 1000 as now");
    startedAt.set(target_url, rows[0].now);
    return done;
  };
  const adding = await manage();
  const busy = Array.from({ length: 8 }, (_, n) => `https://busy.example/${n}`);
  const calm = Array.from({ length: 4 }, (_, n) => `https://calm-${n}.example/`);
  const ids = await adding.addJobs(
    [...busy, ...calm].map((target_url) => ({
      type: "product",
      target_url,
      priority: calm.includes(target_url) ? 1 : 5,
    })),
  );

  const managers = await Promise.all([1, 2].map(() => manage(processor, { requestDelay, concurrency: 1 })));
  await eventually(() => startedAt.size === busy.length + calm.length, within);

  const times = busy.map((url) => startedAt.get(url)!).toSorted((one, other) => one - other);
  const gaps = times.slice(1).map((at, place) => at - times[place]!);
  // The first and the last start may each be late by what the machine does in between.
  expect(times.at(-1)! - times[0]!).toBeGreaterThan((busy.length - 2) * requestDelay);
  expect(gaps.filter((gap) => gap < requestDelay / 2)).toEqual([]);
  // Jobs of other hosts stood behind all of the busy one, and had slots before its last.
  for (const url of calm) expect(startedAt.get(url)!).toBeLessThan(times.at(-1)!);
  await eventually(async () => (await managers[0]!.getStats()).completed === ids.length, within);
  const { rows } = await sql.query("select distinct attempt from hark.finished_jobs");
  expect(rows).toEqual([{ attempt: 1 }]);
});

test("a job that waits for its turn goes back to the queue when its JobManager stops", async ({ manage, sql }) => {
  await sql.query(
    `insert into hark.hosts values ('shop.example', now() + interval '1 h', array_fill(null::timestamptz, array[11]))`,
  );
  const manager = await manage(() => done, { requestDelay: 1_000 });
  const id = await manager.addJob({ type: "product", target_url: "https://shop.example/" });
  await eventually(
    async () => (await sql.query("select from hark.jobs where state = 'scheduled'")).rowCount === 1,
    within,
  );
  await manager.stop();

  const { rows } = await sql.query(
    "select id::text, state, attempt, run_at < now() + interval '11 min' as soon from hark.jobs",
  );
  expect(rows).toEqual([{ id, state: "scheduled", attempt: 0, soon: true }]);
});

test("without a delay no turns are taken", async ({ manage, sql }) => {
  const fast = await manage(() => done, { requestDelay: 0 });
  await fast.addJobs([1, 2, 3].map((n) => ({ type: "product", target_url: `https://shop.example/${n}` })));
  await eventually(async () => (await fast.getStats()).completed === 3, within);
  expect((await sql.query("select from hark.hosts")).rowCount).toBe(0);
});
