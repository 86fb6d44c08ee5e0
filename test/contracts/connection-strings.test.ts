import {
  checkSchema,
  createRoles,
  defineJob,
  getStats,
  migrate,
  openDatabase,
  schemaVersion,
  silentLogger,
} from "@hark/core";
import { createServer, JobManager, PostgresQueue, startServer } from "@hark/job-manager";
import { createProducer } from "@hark/producer";
import { createWorker, implement } from "@hark/worker";
import { expect } from "vitest";
import { run } from "../support/command.ts";
import { eventually } from "../support/eventually.ts";
import { test } from "../support/fixtures.ts";

/* Everything that takes a connection string reaches the same database by it, or refuses it. */

const handlers = [implement(defineJob("test.plain"), () => {})];
const logger = silentLogger;

/** Everything that takes a connection string, in the form that fails first. */
const entries: Record<string, (connectionString: string) => unknown> = {
  migrate: (connectionString) => migrate({ connectionString }),
  createRoles: (connectionString) => createRoles({ connectionString }),
  schemaVersion: (connectionString) => schemaVersion(connectionString),
  checkSchema: (connectionString) => checkSchema(connectionString),
  openDatabase: (connectionString) => openDatabase({ connectionString }),
  createProducer: (connectionString) => createProducer({ connectionString }),
  createWorker: (connectionString) => createWorker({ connectionString, handlers, logger }),
  "createWorker, listenUrl": (listenUrl) =>
    createWorker({ connectionString: "postgres://localhost/app", listenUrl, handlers, logger }),
  createServer: (connectionString) => createServer({ connectionString, token: "t".repeat(40), logger }),
  startServer: (connectionString) => startServer({ connectionString, token: "t".repeat(40), port: 0, logger }),
  JobManager: (connectionString) => new JobManager({ connectionString, logger }),
  "JobManager, listenUrl": (listenUrl) =>
    new JobManager({ connectionString: "postgres://localhost/app", listenUrl, logger }),
  PostgresQueue: (connectionString) => new PostgresQueue({ connectionString, logger }),
};

const wrong: Record<string, [connectionString: string, says: RegExp]> = {
  "a string of keywords": ["host=localhost password=hunter2 dbname=app", /keywords.*PostgreSQL URL/],
  "several hosts": ["postgres://me:hunter2@one.example:5432,two.example:5432/app", /several hosts/],
  "several hosts in the query": ["postgres://me:hunter2@/app?host=one.example,two.example", /several hosts/],
  "another kind of URL": ["mysql://me:hunter2@localhost/app", /not a PostgreSQL URL/],
  "a # in the name of the database": ["postgres://me:hunter2@localhost/app#hunter2", /%23/],
  "a NUL": ["postgres://me:hunter2@localhost/app%00", /NUL/],
  nothing: ["", /connectionString|listenUrl/],
};

for (const [name, [connectionString, says]] of Object.entries(wrong)) {
  test.for(Object.keys(entries))(`${name} is refused with a typed error that shows no password: %s`, async (entry) => {
    const error = await Promise.resolve()
      .then(() => entries[entry]!(connectionString))
      .then(
        () => undefined,
        (reason: unknown) => reason as Error & { code: string },
      );
    expect(error, entry).toMatchObject({ code: "INVALID_OPTIONS", message: expect.stringMatching(says) as string });
    expect(`${error!.stack} ${JSON.stringify(error)}`).not.toContain("hunter2");
  });
}

test.for(["odd#name?", "a/b&c=d+e", "per%23cent", "Zürich with a space", "semi;colon:at@"])(
  "the database is the one that the URL names, also with encoded characters: %s",
  async (odd, { server, startWorker, queue }) => {
    await using cleanUp = new AsyncDisposableStack();
    const name = `${odd} ${crypto.randomUUID().slice(0, 8)}`;
    const url = new URL(await server.createDatabase(name));
    cleanUp.defer(() => server.dropDatabase(name));
    const connectionString = url.href.replace(url.pathname, `/${encodeURIComponent(name)}`);

    expect((await migrate({ connectionString })).length).toBeGreaterThan(0);
    expect((await schemaVersion(connectionString)).pending).toEqual([]);
    await checkSchema(connectionString);
    const db = openDatabase({ connectionString });
    cleanUp.defer(() => db.close());
    const asked = await db.query({ text: "select current_database() as name", values: [] });
    expect(asked.rows).toEqual([{ name }]);

    const ran: unknown[] = [];
    const job = defineJob("test.plain", { queue });
    await startWorker([implement(job, ({ payload }) => void ran.push(payload))], {
      connectionString,
      queues: { [queue]: 1 },
    });
    const producer = createProducer({ connectionString });
    cleanUp.defer(() => producer.close());
    await producer.enqueue(job, 1);
    await eventually(() => ran.length === 1, { withinMs: 30_000, what: "the job runs" });
    const own = new PostgresQueue({ connectionString, logger });
    cleanUp.defer(() => own.close());
    await own.enqueue({ type: "product", target_url: "https://books.example/1" });
    await using http = await startServer({ connectionString, port: 0, logger });
    expect(await (await fetch(new URL("/api/queue/stats", http.url))).json()).toMatchObject({
      data: { queue: { queued: 1 } },
    });
    await eventually(async () => (await getStats(db)).completed === 1, { withinMs: 30_000, what: "it is settled" });
    const { rows } = await db.query({
      text: `select distinct application_name as name from pg_stat_activity where datname = $1 and application_name like 'hark %' order by 1`,
      values: [name],
    });
    for (const each of [
      "hark gate",
      "hark lease",
      "hark listener",
      "hark producer",
      "hark queue",
      "hark server",
      "hark worker",
    ])
      expect(rows.map((row) => row.name)).toContain(each);

    const { code, stdout } = await run(["stats", "--json"], { env: { DATABASE_URL: connectionString } });
    expect({ code, queued: (JSON.parse(stdout) as { queued: number }).queued }).toEqual({ code: 0, queued: 1 });
  },
);
