import { cancelJob, createLocks, defineJob, getStats, openDatabase } from "@hark/core";
import { borrowPool } from "@hark/core/internal";
import { createProducer } from "@hark/producer";
import { implement } from "@hark/worker";
import pg from "pg";
import { expect, inject } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { test } from "../../support/fixtures.ts";
import { startPgBouncer } from "../../support/pgbouncer.ts";

/*
 * Other people's settings, each in a database of its own: jobs reach every state, keys are handed
 * on, and what is read is right.
 */

interface Case {
  /** Defaults of the database. */
  readonly database?: readonly string[];
  /** Of the URL. */
  readonly options?: string;
  /** PGOPTIONS of the process. */
  readonly environment?: string;
  readonly pooler?: "declared" | "undeclared";
  /** The producer borrows a pool of the application. */
  readonly isBorrowed?: boolean;
  /** pg's parsers of this process, by the number of the type. */
  readonly parsers?: Readonly<Record<number, (text: string) => unknown>>;
}

const asItIs = (text: string) => text;
const everyParser = Object.fromEntries([16, 20, 21, 23, 114, 701, 1184, 1700, 3802].map((type) => [type, asItIs]));
const strict = ["default_transaction_isolation = 'serializable'"];
const repeatable = ["default_transaction_isolation = 'repeatable read'"];
const german = ["datestyle = 'German'", "intervalstyle = 'sql_standard'", "timezone = 'Asia/Kathmandu'"];

const cases: Readonly<Record<string, Case>> = {
  "nothing unusual": {},
  serializable: { database: strict },
  "repeatable read": { database: repeatable },
  "DateStyle German": { database: german },
  "DateStyle SQL, DMY": { database: ["datestyle = 'SQL, DMY'", "extra_float_digits = -5"] },
  "short timeouts": {
    database: ["lock_timeout = '1ms'", "idle_session_timeout = '1s'", "statement_timeout = '200ms'"],
  },
  "a search path without public": { database: ["search_path = ''", "standard_conforming_strings = off"] },
  "options of the URL": { options: "-c work_mem=1MB -c lock_timeout=1", database: repeatable },
  "options of the process": { environment: "-c work_mem=2MB -c default_transaction_isolation=serializable" },
  "options of both": { environment: "-c work_mem=2MB", options: "-c timezone=Asia/Tokyo", database: german },
  "parsers of the process": { parsers: everyParser },
  "parsers of the process and a pool of the application": { parsers: everyParser, isBorrowed: true },
  "a pool of the application, serializable": { isBorrowed: true, database: strict },
  "a pooler that nobody declared": { pooler: "undeclared" },
  "a declared pooler, serializable": { pooler: "declared", database: strict },
  "a pooler that nobody declared, repeatable read and German": {
    pooler: "undeclared",
    database: [...repeatable, ...german],
  },
};

for (const [name, { database = [], options, environment, pooler, isBorrowed = false, parsers = {} }] of Object.entries(
  cases,
)) {
  test(`jobs reach every state: ${name}`, { tags: ["FM-85", "FM-81"] }, async ({ server, startWorker, queue }) => {
    await using cleanUp = new AsyncDisposableStack();
    const direct = new URL(await server.createDatabase(undefined, { template: inject("template") }));
    const admin = new pg.Pool({ connectionString: direct.href, max: 1 });
    cleanUp.defer(() => admin.end());
    admin.on("error", () => {});
    for (const setting of database) await admin.query(`alter database "${direct.pathname.slice(1)}" set ${setting}`);
    if (options !== undefined) direct.searchParams.set("options", options);
    const before = process.env.PGOPTIONS;
    if (environment !== undefined) process.env.PGOPTIONS = environment;
    cleanUp.defer(() => {
      if (before === undefined) delete process.env.PGOPTIONS;
      else process.env.PGOPTIONS = before;
    });
    for (const [type, parse] of Object.entries(parsers)) {
      const id = Number(type) as never;
      const usual = pg.types.getTypeParser(id);
      pg.types.setTypeParser(id, parse as never);
      cleanUp.defer(() => pg.types.setTypeParser(id, usual));
    }
    const front = pooler && cleanUp.use(await startPgBouncer(direct.href, { poolMode: "transaction", poolSize: 6 }));
    const url = front?.url ?? direct.href;
    const isPooled = pooler === "declared";

    const pool = new pg.Pool({ connectionString: url });
    pool.on("error", () => {});
    cleanUp.defer(() => pool.end());
    const db = isBorrowed ? borrowPool(pool, { isPooled }) : openDatabase({ connectionString: url, isPooled });
    cleanUp.defer(() => db.close());
    const producer = createProducer({ database: db });
    const retry = { attempts: 2, backoff: { base: 1 } };
    const job = defineJob("test.job", { queue, retry });
    const runs: string[] = [];
    const worker = await startWorker(
      [
        implement(job, ({ payload: given, attempt, id }) => {
          const payload = given as { do: string; at: number };
          expect(typeof id).toBe("bigint");
          runs.push(payload.do);
          if (payload.do === "die" || (payload.do === "retry" && attempt === 1)) throw new Error("as told");
          return { did: payload.do, at: payload.at };
        }),
      ],
      { connectionString: url, queues: 2, ...(front && { listenUrl: direct.href, isPooled }) },
    );
    cleanUp.defer(() => worker.stop("now"));

    const at = 1_234_567.125;
    const jobs = await producer.enqueueMany(
      ["plain", "retry", "die"].map((what) => ({ job, payload: { do: what, at } })),
    );
    const keyed = await producer.enqueueMany(
      [1, 2, 3, 4, 5].map(() => ({ job, payload: { do: "key", at }, options: { key: "k" } })),
    );
    const unique = await Promise.all(
      [1, 2, 3].map(() => producer.enqueue(job, { do: "later", at }, { uniqueKey: "u", delay: "1h" })),
    );
    const soon = await producer.enqueue(job, { do: "soon", at }, { delay: 50 });
    expect(new Set(unique.map(({ id }) => id)).size).toBe(1);
    expect(await cancelJob(db, unique[0]!.id)).toBe("scheduled");

    const finished = [jobs[0]!.id, jobs[1]!.id, ...keyed.map(({ id }) => id), soon.id].map(String).toSorted();
    const ask = async (text: string) => (await admin.query<{ found: string }>(text)).rows.map(({ found }) => found);
    await eventually(
      async () =>
        (await ask("select id::text as found from hark.finished_jobs where state = 'completed'")).length ===
        finished.length,
      { withinMs: 30_000, what: "all jobs that succeed are completed" },
    );
    await eventually(async () => (await ask("select id::text as found from hark.dead_jobs")).length === 1, {
      withinMs: 30_000,
      what: "the job that fails is a dead letter",
    });
    expect(
      (await ask("select id::text as found from hark.finished_jobs where state = 'completed'")).toSorted(),
    ).toEqual(finished);
    expect(await ask("select (result ->> 'at') as found from hark.finished_jobs where state = 'completed'")).toEqual(
      finished.map(() => String(at)),
    );
    expect(runs.toSorted()).toEqual(["die", "die", ...keyed.map(() => "key"), "plain", "retry", "retry", "soon"]);
    expect(await getStats(db)).toMatchObject({ queued: 0, running: 0, completed: finished.length, failed: 1 });
    const lock = await createLocks({ db }).acquire("lock", { ttlMs: 60_000 });
    expect([typeof lock.fence, await lock.release()]).toEqual(["bigint", true]);
  });
}
