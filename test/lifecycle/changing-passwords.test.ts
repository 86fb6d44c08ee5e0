import { checkSchema, defineJob, migrate, openDatabase, schemaVersion, silentLogger } from "@hark/core";
import { PostgresQueue, startServer } from "@hark/job-manager";
import { createProducer } from "@hark/producer";
import { implement } from "@hark/worker";
import { expect, inject } from "vitest";
import { eventually } from "../support/eventually.ts";
import { test } from "../support/fixtures.ts";

/* Passwords that a cloud or a vault changes: each new connection asks for the one of now. */

test(
  "a password that changes is asked for with each new connection, by everything that connects",
  { tags: ["FM-06"] },
  async ({ server, pool, startWorker, queue }) => {
    await using cleanUp = new AsyncDisposableStack();
    const role = `hark_changing_${crypto.randomUUID().slice(0, 8)}`;
    let current = "one of now";
    await pool.query(`create role ${role} superuser login password '${current}'`);
    const url = new URL(await server.createDatabase(undefined, { template: inject("template") }));
    cleanUp.defer(async () => {
      await server.dropDatabase(url.pathname.slice(1));
      await pool.query(`drop role ${role}`);
    });
    url.username = role;
    url.password = "";
    const connectionString = url.href;
    let asked = 0;
    const password = async () => {
      asked += 1;
      return current;
    };
    const login = { connectionString, password };

    const ran: number[] = [];
    const job = defineJob("test.plain", { queue });
    const worker = await startWorker([implement(job, ({ payload }) => void ran.push(payload as number))], {
      ...login,
      queues: { [queue]: 1 },
      lease: "2s",
    });
    let leasesLost = 0;
    worker.events.on("leaseLost", () => (leasesLost += 1));
    const producer = createProducer(login);
    cleanUp.defer(() => producer.close());
    const db = openDatabase(login);
    cleanUp.defer(() => db.close());
    const http = await startServer({ ...login, port: 0, logger: silentLogger });
    cleanUp.defer(() => http.close());
    const own = new PostgresQueue({ ...login, logger: silentLogger });
    cleanUp.defer(() => own.close());

    /** What each of them does with the database. */
    const useAll = async (turn: number): Promise<void> => {
      await producer.enqueue(job, turn);
      await eventually(() => ran.includes(turn), { withinMs: 30_000, what: `job ${turn} runs` });
      expect((await db.query({ text: "select current_user as who", values: [] })).rows).toEqual([{ who: role }]);
      expect((await fetch(new URL("/api/queue/stats", http.url))).status).toBe(200);
      const { id } = await own.enqueue({ type: "product", target_url: `https://books.example/${turn}` });
      expect((await own.dequeue())?.id).toBe(id);
      expect(await migrate(login)).toEqual([]);
      await checkSchema(connectionString, { password });
      await schemaVersion(connectionString, { password });
    };
    const connected = async () =>
      (
        await pool.query<{ name: string }>(
          "select distinct application_name as name from pg_stat_activity where usename = $1 order by 1",
          [role],
        )
      ).rows.map(({ name }) => name);
    await useAll(1);
    const before = await connected();
    expect(before.length).toBeGreaterThan(4);

    current = "another, with % and ' and \\ and /?#@";
    await pool.query(`alter role ${role} password '${current.replaceAll("'", "''")}'`);
    const askedBefore = asked;
    await pool.query("select pg_terminate_backend(pid) from pg_stat_activity where usename = $1", [role]);
    await eventually(() => asked > askedBefore, { withinMs: 30_000, what: "the password is asked for again" });
    await eventually(async () => (await useAll(2).catch(() => false)) !== false, {
      withinMs: 60_000,
      what: "everything works under the new password",
    });
    const areAllBack = async () => {
      const now = new Set(await connected());
      return before.every((name) => now.has(name));
    };
    await eventually(areAllBack, {
      withinMs: 30_000,
      what: `all are connected again: ${before.join(", ")}`,
    });
    expect(leasesLost).toBe(0);
    expect(worker.health().reasons).toEqual([]);

    current = "wrong";
    await expect(migrate(login)).rejects.toMatchObject({ code: "DATABASE_UNREACHABLE" });
    await expect(
      migrate({ connectionString, password: () => Promise.reject(new Error("the vault is closed")) }),
    ).rejects.toMatchObject({ code: "DATABASE_UNREACHABLE" });
  },
);
