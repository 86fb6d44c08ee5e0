// @module-tag SEC-01
import { randomUUID } from "node:crypto";
import {
  cancelJob,
  countSlots,
  createRoles,
  defineJob,
  getJob,
  getStats,
  listDeadJobs,
  listSchedules,
  migrate,
  openDatabase,
  removeSchedule,
  requeueDeadJob,
  roleNames,
  schemaVersion,
  silentLogger,
} from "@hark/core";
import { startServer } from "@hark/job-manager";
import { createProducer } from "@hark/producer";
import { implement, schedule } from "@hark/worker";
import { describe, expect } from "vitest";
import { run } from "../docs/terminal.ts";
import { untilState } from "../support/jobs.ts";
import { test } from "../support/logins.ts";

/* SEC-01: each role's rights suffice for its purpose, and no role has the rights of another. */

const order = defineJob("shop.order");
const broken = defineJob("shop.broken", { retry: { attempts: 2, backoff: { base: 20 } } });

test("the roles can be made once or twenty times at once, and the command reports what it granted", async ({
  databaseUrl,
  logIn,
}) => {
  await logIn("hark_producer");
  await Promise.all(Array.from({ length: 20 }, () => createRoles({ connectionString: databaseUrl })));

  const told = await run(
    `node packages/cli/dist/main.js migrate --roles --json`,
    { DATABASE_URL: databaseUrl },
    30_000,
  );
  expect(JSON.parse(told.output)).toMatchObject({ applied: [], roles: roleNames });
  const printed = await run(`node packages/cli/dist/main.js migrate --roles --sql`, {}, 30_000);
  expect(printed.output).toContain("CREATE ROLE");
  for (const wrong of ["--roles --check", "--roles --sql --from 1"])
    expect(await run(`node packages/cli/dist/main.js migrate ${wrong}`, {}, 30_000)).toMatchObject({ code: 2 });
});

test("roles are made by a plain role that may create roles, and refused to one that may not", async ({
  server,
  pool,
}) => {
  const password = randomUUID();
  const made: string[] = [];
  try {
    const urlFor = async (rights: string) => {
      const name = `hark_test_${randomUUID().slice(0, 8)}`;
      await pool.query(`create role ${name} login password '${password}' ${rights}`);
      made.push(name);
      const url = new URL(await server.createDatabase());
      const database = url.pathname.slice(1);
      await pool.query(`grant create on database ${database} to ${name}`);
      url.username = name;
      url.password = password;
      return url.href;
    };
    const migrator = await urlFor("createrole");
    await migrate({ connectionString: migrator });
    await createRoles({ connectionString: migrator });

    // A role cannot grant on another owner's schema, and a missing schema is reported.
    const stranger = await urlFor("");
    await expect(createRoles({ connectionString: stranger })).rejects.toMatchObject({ code: "SCHEMA_VERSION" });
    const owner = new URL(stranger);
    const guest = new URL(migrator);
    guest.username = owner.username;
    const migratorDb = openDatabase({ connectionString: migrator });
    await migratorDb.pool.query(
      `grant usage on schema hark to ${owner.username}; grant select on hark.migrations to ${owner.username}`,
    );
    await migratorDb.close();
    await expect(createRoles({ connectionString: guest.href })).rejects.toMatchObject({ code: "ROLES_FORBIDDEN" });
    expect(await schemaVersion(migrator)).toMatchObject({ pending: [] });
    for (const url of [migrator, stranger]) await server.dropDatabase(url);
  } finally {
    for (const name of made) await pool.query(`drop role ${name}`);
  }
});

test("jobs are enqueued as hark_producer, run as hark_worker, and administered as hark_admin", async ({
  logIn,
  startWorker,
  queue,
}) => {
  const shop = await logIn("hark_producer");
  const crew = await logIn("hark_worker");
  const boss = await logIn("hark_admin");
  const shopDb = openDatabase({ connectionString: shop.url });
  const bossDb = openDatabase({ connectionString: boss.url });
  try {
    const producer = createProducer({ database: shopDb });
    const seen: number[] = [];
    let isMended = false;
    const started = Promise.withResolvers<void>();
    const worker = await startWorker(
      [
        implement(order, async (job) => {
          const { signal } = job;
          const { number, how } = job.payload as { number: number; how?: string };
          seen.push(number);
          if (how === "waits") {
            started.resolve();
            await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
          }
          if (how === "completes in") {
            const crewDb = openDatabase({ connectionString: crew.url });
            await crewDb.transaction((tx) => job.completeIn(tx, { done: number }));
            await crewDb.close();
          }
          return { done: number };
        }),
        implement(broken, () => {
          if (!isMended) throw new Error("no stock");
          return {};
        }),
      ],
      { connectionString: crew.url, queues: { [queue]: 3 }, lease: 2_000 },
    );

    // All ways to enqueue: at once, keyed, later, many, in a transaction.
    const jobs = [
      await producer.enqueue(order, { number: 1 }, { queue, key: "k" }),
      await producer.enqueue(order, { number: 2 }, { queue, key: "k", uniqueKey: "two" }),
      await producer.enqueue(order, { number: 3 }, { queue, delay: 300 }),
      ...(await producer.enqueueMany([
        { job: order, payload: { number: 4, how: "completes in" }, options: { queue } },
      ])),
      await shopDb.transaction((tx) => producer.in(tx).enqueue(order, { number: 5 }, { queue })),
    ];
    const dead = await producer.enqueue(broken, {}, { queue });
    for (const { id } of jobs) await untilState(bossDb, id, "completed");
    await untilState(bossDb, dead.id, "dead");
    expect(seen.toSorted((one, other) => one - other)).toEqual([1, 2, 3, 4, 5]);

    // The worker's locks, with fences, takeover and hand-over, and its upkeep, which runs at its
    // start.
    const lock = await worker.locks.acquire("page", { ttlMs: 5_000 });
    await lock.renew();
    const waiting = worker.locks.acquire("page", { ttlMs: 5_000, waitMs: 5_000 });
    await lock.release();
    const next = await waiting;
    expect(next.fence).toBeGreaterThan(lock.fence);
    await next.release();
    expect(worker.health()).toMatchObject({ isHealthy: true, reasons: [] });

    // The admin's queries and commands.
    expect(await getStats(bossDb)).toMatchObject({ queues: { [queue]: { completed: 5, dead: 1 } } });
    expect(await listDeadJobs(bossDb)).toMatchObject([{ id: dead.id, type: "shop.broken" }]);
    expect(await countSlots(bossDb)).toBe(3);
    isMended = true;
    expect(await requeueDeadJob(bossDb, dead.id)).toMatchObject({ isRequeued: true });
    await untilState(bossDb, dead.id, "completed");
    const running = await producer.enqueue(order, { number: 6, how: "waits" }, { queue });
    await started.promise;
    expect(await cancelJob(bossDb, running.id)).toBe("running");
    const later = await producer.enqueue(order, { number: 7 }, { queue, delay: "1h" });
    expect(await cancelJob(bossDb, later.id)).toBe("scheduled");
    await untilState(bossDb, later.id, "cancelled");
    await worker.stop();
    expect((await getJob(bossDb, running.id))?.state).toBe("cancelled");
  } finally {
    await shopDb.close();
    await bossDb.close();
  }
});

test("a worker under hark_worker declares and fires a schedule, hark_reader lists it, and hark_admin removes it", async ({
  logIn,
  startWorker,
  queue,
}) => {
  const [crew, reader, boss] = [await logIn("hark_worker"), await logIn("hark_reader"), await logIn("hark_admin")];
  const readerDb = openDatabase({ connectionString: reader.url });
  const bossDb = openDatabase({ connectionString: boss.url });
  try {
    const ran = Promise.withResolvers<unknown>();
    const schedules = [schedule(order, { every: "1s" }, { name: queue, queue, payload: { number: 8 } })];
    const handlers = [implement(order, ({ payload }) => ran.resolve(payload))];
    await startWorker(handlers, { connectionString: crew.url, queues: { [queue]: 1 }, schedules });

    expect(await ran.promise).toEqual({ number: 8 });
    const listed = (await listSchedules(readerDb)).find(({ name }) => name === queue);
    expect(listed).toMatchObject({ everyMs: 1_000, type: "shop.order", missed: "once" });
    expect(listed!.lastTickAt!.getTime() % 1_000).toBe(0);
    expect(await removeSchedule(bossDb, queue)).toBe(true);
    expect(await removeSchedule(bossDb, queue)).toBe(false);
  } finally {
    await readerDb.close();
    await bossDb.close();
  }
});

test("a worker under hark_worker rescues the jobs of one that died", async ({
  logIn,
  startWorker,
  producer,
  pool,
  db,
  queue,
}) => {
  const crew = await logIn("hark_worker");
  const { id } = await producer.enqueue(order, {}, { queue });
  await pool.query(
    `with dead as (insert into hark.workers (id, name, hostname, pid, queues, started_at, expires_at)
       values (gen_random_uuid(), 'dead', 'test', 0, '{}', now() - interval '1 minute', now() - interval '1 s') returning id),
     gone as (delete from hark.jobs where id = $1 returning *)
     insert into hark.running_jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key, run_at,
                                    created_at, started_at, worker, token)
     select gone.id, queue, type, payload, priority, 1, max_attempts, crash_count, key, unique_key, run_at, created_at, now(), dead.id,
            gen_random_uuid() from gone, dead`,
    [String(id)],
  );

  const worker = await startWorker([implement(order, () => ({}))], {
    connectionString: crew.url,
    queues: { [queue]: 1 },
    lease: 2_000,
  });

  expect(await untilState(db, id, "completed")).toMatchObject({ attempt: 2, crashCount: 1 });
  await worker.stop();
});

describe("the doctor", () => {
  test.for([
    ["hark_worker", /may work but not enqueue/],
    ["hark_producer", /may enqueue, and not work/],
  ] as const)("finds that %s has its rights", async ([role, verdict], { logIn }) => {
    const { url } = await logIn(role);
    const { output } = await run("node packages/cli/dist/main.js doctor --json", { DATABASE_URL: url }, 60_000);
    const { checks } = JSON.parse(output) as { checks: { name: string; message: string }[] };
    expect(checks.find(({ name }) => name === "privileges")?.message).toMatch(verdict);
  });

  test("finds nothing missing for a login in both roles", async ({ logIn }) => {
    const { url } = await logIn("hark_worker", "hark_producer");
    const { output } = await run("node packages/cli/dist/main.js doctor --json", { DATABASE_URL: url }, 60_000);
    const { checks } = JSON.parse(output) as { checks: { name: string; status: string }[] };
    expect(checks.find(({ name }) => name === "privileges")?.status).toBe("ok");
  });
});

test("the server can answer every call, enqueues included, as hark_admin", async ({ logIn, pool }) => {
  const boss = await logIn("hark_admin");
  await using server = await startServer({ connectionString: boss.url, port: 0, token: "t", logger: silentLogger });
  const call = (method: string, path: string, body?: object) =>
    fetch(server.url + path, {
      method,
      headers: { authorization: "Bearer t", "content-type": "application/json" },
      ...(body && { body: JSON.stringify(body) }),
    });

  expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
  const enqueued = await call("POST", "/api/queue/jobs", { type: "product", target_url: "https://shop.example/1" });
  expect(enqueued.status).toBe(201);
  expect((await call("GET", "/api/queue/stats")).status).toBe(200);
  await pool.query(
    `insert into hark.dead_jobs select id, queue, type, payload, priority, 1, max_attempts, 0, key, unique_key, run_at, created_at,
       'unrecoverable', 'Error: no', now(), now() from hark.jobs where type = 'product'; delete from hark.jobs where type = 'product'`,
  );
  expect(await (await call("GET", "/api/queue/dead-letter")).json()).toMatchObject({
    data: [{ target_url: "https://shop.example/1" }],
  });
  expect((await call("POST", "/api/queue/dead-letter/requeue", { index: 0 })).status).toBe(200);
});

describe("as hark_reader", () => {
  test("it counts and lists, but payloads, results, tokens and every write are refused", async ({ logIn, pool }) => {
    const { client, url } = await logIn("hark_reader");
    const readerDb = openDatabase({ connectionString: url });
    expect(await getStats(readerDb)).toHaveProperty("queued");
    expect(await countSlots(readerDb)).toBeGreaterThanOrEqual(0);
    await readerDb.close();

    const { rows: tables } = await pool.query<{ name: string }>(
      `select relname as name from pg_class where relnamespace = 'hark'::regnamespace and relkind in ('r', 'p')`,
    );
    expect(tables.length).toBeGreaterThan(20); // with partitions
    const refused: [string, unknown][] = [];
    const statements = [
      ...["jobs", "running_jobs", "finished_jobs", "dead_jobs"].map((table) => `select payload from hark.${table}`),
      "select result from hark.finished_jobs",
      "select token from hark.running_jobs",
      "select token from hark.locks",
      "select token from hark.attempts",
      "select payload from hark.schedules",
      "select * from hark.jobs",
      "select to_jsonb(jobs) from hark.jobs",
      "select owner from hark.job_owners",
      ...tables.flatMap(({ name }) => [
        `insert into hark.${name} select * from hark.${name} where false`,
        ...(/^(jobs|running_jobs|finished_jobs|dead_jobs|workers)/.test(name)
          ? [`update hark.${name} set id = null where false`]
          : []),
        `delete from hark.${name} where false`,
        `truncate hark.${name}`,
        `select from hark.${name} for update`,
      ]),
      "select hark.enqueue('t', '{}')",
      "select * from hark.insert_jobs('[]')",
      "select hark.create_partitions(0)",
      "select hark.drop_partitions(7)",
      "select hark.next_fence('k')",
      "select nextval('hark.fence_numbers')",
    ];
    for (const statement of statements) {
      await client.query(statement).then(
        () => refused.push([statement, "went through"]),
        (error: { code: string }) => error.code !== "42501" && refused.push([statement, error.code]),
      );
    }
    expect(refused).toEqual([]);
  });
});

describe("no role has the rights of another", () => {
  const forbidden = {
    hark_worker: [
      "select hark.enqueue('t', '{}')",
      "select * from hark.insert_jobs('[]')",
      "select error from hark.dead_jobs",
      "delete from hark.finished_jobs",
      "update hark.finished_jobs set result = null",
      "update hark.attempts set error = null",
      "delete from hark.attempts",
      "delete from hark.dead_jobs",
      "update hark.migrations set version = 0",
      "select owner from hark.job_owners",
      "select * from hark.job_result(1)",
      "insert into hark.schedule_ticks values ('s', now(), now())",
      "delete from hark.schedules",
      "create table hark.x ()",
    ],
    hark_admin: [
      "insert into hark.running_jobs select * from hark.running_jobs where false",
      "update hark.running_jobs set token = gen_random_uuid()",
      "insert into hark.workers select * from hark.workers where false",
      "update hark.workers set expires_at = 'infinity'",
      "insert into hark.locks select * from hark.locks where false",
      "delete from hark.locks",
      "update hark.finished_jobs set result = null",
      "delete from hark.finished_jobs",
      "delete from hark.attempts",
      "update hark.attempts set error = null",
      "select hark.drop_partitions(7)",
      "select hark.next_fence('k')",
      "insert into hark.schedules select * from hark.schedules where false",
      "select hark.fire_schedule('s', 1, now(), '{}', now())",
      "select owner from hark.job_owners",
      "update hark.migrations set version = 0",
    ],
  } as const;

  test.for(Object.entries(forbidden))("%s", async ([role, statements], { logIn }) => {
    const { client } = await logIn(role as keyof typeof forbidden);
    for (const statement of statements)
      await expect(client.query(statement), statement).rejects.toMatchObject({ code: "42501" });
  });

  test("none is a member of another", async ({ logIn, pool }) => {
    await logIn("hark_producer");
    const { rows } = await pool.query(
      `select member::regrole::text, roleid::regrole::text as role from pg_auth_members
        where member::regrole::text like 'hark\\_%' and member::regrole::text not like 'hark\\_test%'`,
    );
    expect(rows).toEqual([]);
    const { rows: powers } = await pool.query(
      `select rolname from pg_roles where rolname = any ($1) and (rolcanlogin or rolsuper or rolcreaterole or rolcreatedb or rolbypassrls)`,
      [roleNames],
    );
    expect(powers).toEqual([]);
  });
});
