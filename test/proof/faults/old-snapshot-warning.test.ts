import { randomUUID } from "node:crypto";
import { listOldSnapshots, migrate, openDatabase } from "@hark/core";
import { findInstalled, startEmbedded, startInstalled } from "@hark/test/database";
import { oldSnapshotLook } from "@hark/worker/internal";
import pg from "pg";
import { expect, test as plain } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { registerWorker } from "../../support/jobs.ts";
import { recordingLogger } from "../../support/recording-logger.ts";

const minuteMs = 60_000;

/**
 * Uses its own server: prepared transactions and replication must be allowed, and a replication
 * slot affects all databases.
 */
const test = plain
  .extend("url", { scope: "file" }, async ({}, { onCleanup }) => {
    const settings = { max_prepared_transactions: "5" };
    const major = process.env["TEST_POSTGRES_MAJOR"]; // as in setup/global-setup.ts
    const installed = major === undefined ? undefined : findInstalled(Number(major));
    const server = await (installed ? startInstalled(installed, { settings }) : startEmbedded({ settings }));
    onCleanup(() => server.stop());
    await migrate({ connectionString: server.url });
    return server.url;
  })
  .extend("db", { scope: "file" }, ({ url }, { onCleanup }) => {
    const db = openDatabase({ connectionString: url, maxConnections: 4, applicationName: "hark test" });
    onCleanup(() => db.close());
    return db;
  })
  .extend("connect", ({ url }, { onCleanup }) => {
    const clients: pg.Client[] = [];
    onCleanup(async () => void (await Promise.all(clients.map((client) => client.end()))));
    return async (options: pg.ClientConfig & { replication?: string } = {}) => {
      const client = new pg.Client({ connectionString: url, application_name: "forgotten report", ...options });
      client.on("error", () => {});
      clients.push(client);
      await client.connect();
      return client;
    };
  })
  /**
   * A watch of the eldest worker, for which any age is old. Each look comes a minute after the
   * last.
   */
  .extend("watch", async ({ db }) => {
    await db.pool.query("delete from hark.workers");
    const identity = await registerWorker(db, { leaseMs: 600_000 });
    const logger = recordingLogger();
    const look = oldSnapshotLook({ db, identity: () => identity, logger, oldMs: 1 });
    let now = 0;
    return {
      lines: logger.lines,
      identity,
      async look(afterMs = minuteMs) {
        now += afterMs;
        await look(now);
        return logger.lines.splice(0);
      },
    };
  });

test(
  "a session that holds a snapshot is reported with its remedy and without its query, and again only after a while",
  { tags: ["FM-42"] },
  async ({ db, connect, watch }) => {
    const session = await connect();
    await session.query("begin isolation level repeatable read");
    const { rows } = await session.query<{ pid: number }>(
      "select pg_backend_pid() as pid, 'hunter2' as secret from hark.jobs right join (values (1)) one on true",
    );
    const pid = String(rows[0]!.pid);

    expect(await watch.look()).toEqual([]); // a first look may see a short query
    const [warning, ...others] = await watch.look();
    expect(others).toEqual([]);
    expect(warning).toMatchObject({
      level: "warn",
      facts: {
        kind: "session",
        id: pid,
        application: "forgotten report",
        state: "idle in transaction",
        command: "select",
        deadRows: { jobs: expect.any(Number) as number, runningJobs: expect.any(Number) as number },
        remedy: `select pg_terminate_backend(${pid})`,
      },
    });
    expect(warning!.facts.heldMs).toBeGreaterThan(0);
    expect(JSON.stringify(warning)).not.toContain("hunter2");

    // No warning for 5 minutes, then for 10.
    const warned: number[] = [];
    for (let minute = 1; minute <= 16; minute += 1) if ((await watch.look()).length > 0) warned.push(minute);
    expect(warned).toEqual([5, 15]);
    expect((await listOldSnapshots(db, { olderThanMs: 0 })).map(({ id }) => id)).toEqual([pid]);

    await db.pool.query(String(warning!.facts.remedy));
    await eventually(async () => (await listOldSnapshots(db, { olderThanMs: 0 })).length === 0, { withinMs: 10_000 });
    expect(await watch.look()).toEqual([]);
  },
);

test(
  "a long transaction that takes a new snapshot for each query is not reported, and one that wrote is",
  { tags: ["FM-42"] },
  async ({ db, connect, watch }) => {
    const fresh = await connect();
    await fresh.query("begin"); // read committed, and it only reads
    const busy = async () => {
      await db.pool.query("select pg_current_xact_id()"); // so that the oldest snapshot falls behind
      const query = fresh.query("select pg_sleep(0.3)");
      await eventually(async () => (await listOldSnapshots(db, { olderThanMs: 0 })).length > 0, { withinMs: 10_000 });
      const lines = await watch.look(); // while the query runs under its own snapshot
      await query;
      return lines;
    };
    for (let look = 0; look < 3; look += 1) expect(await busy()).toEqual([]);

    await db.pool.query("select pg_current_xact_id()"); // otherwise the writer's own id would be the newest
    await fresh.query("select pg_current_xact_id()");
    await busy();
    expect(await busy()).toMatchObject([{ facts: { kind: "session" } }]);
  },
);

test("a prepared transaction is reported by its gid, quoted for the remedy", async ({ db, connect, watch }) => {
  const session = await connect();
  await session.query("begin");
  await session.query("select pg_current_xact_id()");
  await session.query("prepare transaction 'it''s forgotten'");
  await session.end();

  await watch.look();
  const [warning] = await watch.look();
  expect(warning!.facts).toMatchObject({
    kind: "prepared transaction",
    id: "it's forgotten",
    remedy: "rollback prepared 'it''s forgotten'",
  });
  await db.pool.query(String(warning!.facts.remedy));
  expect(await watch.look()).toEqual([]);
});

test("a standby's feedback is reported while it is connected, and its slot when it is gone", async ({
  db,
  connect,
  watch,
}) => {
  await db.pool.query("select pg_create_physical_replication_slot('old_standby', true)");
  for (const slot of [undefined, "old_standby"]) {
    const standby = await connect({ replication: "true", application_name: "replica 2" });
    await sendFeedback(standby, await currentHorizon(), slot);
    const kind = slot ? "replication slot" : "standby";
    await eventually(async () => (await held()).some((holder) => holder.startsWith(kind)), { withinMs: 10_000 });

    // The server reports no age for either, so each is old once it was seen for long enough.
    await watch.look();
    expect(await watch.look(), kind).toMatchObject([{ facts: { kind, state: slot ? "active" : "streaming" } }]);
    standby.connection.stream.destroy();
    await eventually(async () => !(await held()).some((holder) => holder.endsWith("active")), { withinMs: 10_000 });
  }

  const [abandoned] = await listOldSnapshots(db, { olderThanMs: 0 });
  expect(abandoned).toMatchObject({
    kind: "replication slot",
    id: "old_standby",
    state: "inactive",
    remedy: "select pg_drop_replication_slot('old_standby')",
  });
  await db.pool.query(abandoned!.remedy);
  expect(await held()).toEqual([]);

  async function held(): Promise<string[]> {
    const { rows } = await db.pool.query<{ holder: string }>(
      `select 'replication slot ' || case when active then 'active' else 'gone' end as holder from pg_replication_slots where xmin is not null
       union all select 'standby active' from pg_stat_replication where backend_xmin is not null`,
    );
    return rows.map(({ holder }) => holder);
  }
  async function currentHorizon(): Promise<number> {
    const { rows } = await db.pool.query<{ xmin: number }>(
      "select pg_snapshot_xmin(pg_current_snapshot())::text::float8 as xmin",
    );
    return rows[0]!.xmin;
  }
});

test("only the eldest of several workers looks", async ({ db, connect, watch }) => {
  const younger = await registerWorker(db);
  const logger = recordingLogger();
  const lookOfOther = oldSnapshotLook({ db, identity: () => younger, logger, oldMs: 1 });
  const session = await connect();
  await session.query("begin isolation level repeatable read");
  await session.query("select count(*) from hark.jobs");
  for (let minute = 1; minute <= 3; minute += 1) await lookOfOther(minute * minuteMs);
  expect(logger.lines).toEqual([]);
  await watch.look();
  expect(await watch.look()).toHaveLength(1);

  await db.pool.query("update hark.workers set dead_at = clock_timestamp() where id = $1", [watch.identity]);
  for (let minute = 4; minute <= 5; minute += 1) await lookOfOther(minute * minuteMs);
  expect(logger.lines).toHaveLength(1);
});

test("for a role that may not see other roles' sessions, they are old once they were seen for long enough", async ({
  url,
  db,
  connect,
}) => {
  const role = `watcher_${randomUUID().slice(0, 8)}`;
  await db.pool.query(`create role ${role} login password 'pw'`);
  await db.pool.query(`grant usage on schema hark to ${role}; grant select on hark.workers to ${role}`);
  await db.pool.query("delete from hark.workers");
  const identity = await registerWorker(db);
  const restricted = new URL(url);
  restricted.username = role;
  restricted.password = "pw";
  const own = openDatabase({ connectionString: restricted.href, maxConnections: 1 });
  try {
    const logger = recordingLogger();
    const look = oldSnapshotLook({ db: own, identity: () => identity, logger });
    const session = await connect();
    await session.query("begin isolation level repeatable read");
    const { rows } = await session.query<{ pid: number }>("select pg_backend_pid() as pid from pg_class limit 1");
    for (const seconds of [0, 30]) await look(seconds * 1_000);
    expect(logger.lines).toEqual([]);
    await look(60_000);
    expect(logger.lines).toMatchObject([{ facts: { kind: "session", id: String(rows[0]!.pid), heldMs: 60_000 } }]);
  } finally {
    await own.close();
    await db.pool.query(`drop owned by ${role}; drop role ${role}`);
  }
});

/**
 * Starts replication as a standby does, and tells the server to keep the rows that transactions
 * from `xmin` on may need.
 */
async function sendFeedback(standby: pg.Client, xmin: number, slot?: string): Promise<void> {
  const { rows } = await standby.query<{ xlogpos: string }>("IDENTIFY_SYSTEM");
  const { connection } = standby;
  const started = new Promise<void>((resolve) => connection.once("replicationStart", () => resolve()));
  connection.query(`START_REPLICATION ${slot ? `SLOT ${slot}` : ""} PHYSICAL ${rows[0]!.xlogpos}`);
  await started;
  const message = Buffer.alloc(30); // CopyData and its length; 'h', its time, xmin and its epoch, catalog_xmin and its epoch
  message.write("d");
  message.writeUInt32BE(29, 1);
  message.write("h", 5);
  message.writeUInt32BE(xmin, 14);
  connection.stream.write(message);
}
