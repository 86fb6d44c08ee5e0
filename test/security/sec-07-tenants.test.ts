// @module-tag SEC-07
import { createRoles } from "@hark/core";
import pg from "pg";
import { expect, inject } from "vitest";
import { type Login, test } from "../support/logins.ts";

/*
 * SEC-07: Hark has no row level security (docs/decisions/0020). Tenants are separated by databases.
 * Producers that share a database see nothing of each other, except whether a unique key is taken.
 */

const marker = "4111-1111-1111-1111";

/** Returns the SQLSTATE of a refused statement, or its result. */
async function attempt({ client }: Login, statements: readonly string[]): Promise<string> {
  await client.query("begin");
  try {
    let rows: unknown[] = [];
    for (const statement of statements) ({ rows } = await client.query(statement));
    return `went through: ${JSON.stringify(rows)}`;
  } catch (error) {
    expect(JSON.stringify(error)).not.toContain(marker);
    return (error as { code: string }).code;
  } finally {
    await client.query("rollback");
  }
}

test("producers of one database see nothing of each other's jobs, whatever they try", async ({ logIn }) => {
  const [shop, rival] = [await logIn("hark_producer"), await logIn("hark_producer")];
  const { rows } = await shop.client.query<{ id: string }>(
    "select hark.enqueue('pay', jsonb_build_object('card', $1::text), unique_key => 'order-1') as id",
    [marker],
  );
  const id = rows[0]!.id;

  for (const ways of [
    ["copy hark.jobs to stdout"],
    ["copy (select payload from hark.jobs) to stdout"],
    ["insert into hark.jobs select * from hark.jobs returning payload"],
    ["update hark.jobs set priority = 1 returning payload"],
    ["delete from hark.jobs returning payload"],
    [`explain (analyze) select from hark.jobs where payload @> '{"card": "${marker}"}'`],
    ["create temp view spy as select payload from hark.jobs", "select * from spy"],
    ["create temp view spy with (security_invoker) as select payload from hark.jobs", "select * from spy"],
    ["create temp view spy as select job_id from hark.unique_keys", "select * from spy"],
    ["declare spy cursor for select payload from hark.jobs", "fetch spy"],
    ["prepare spy as select payload from hark.jobs", "execute spy"],
  ])
    expect(await attempt(rival, ways), ways.join("; ")).toBe("42501");

  expect((await rival.client.query("select * from hark.job_result($1)", [id])).rows).toEqual([]);
  expect((await shop.client.query("select state from hark.job_result($1)", [id])).rows).toEqual([{ state: "waiting" }]);
  // A unique key shows that it is taken, and by which id, as SECURITY.md says.
  const taken = `select id::text, status from hark.enqueue_many('[{"type": "pay", "unique_key": "order-1"}]')`;
  expect((await rival.client.query(taken)).rows).toEqual([{ id, status: "duplicate" }]);
});

test("no table has row level security", async ({ pool }) => {
  const { rows } = await pool.query(
    `select relname from pg_class where relnamespace = 'hark'::regnamespace and (relrowsecurity or relforcerowsecurity)`,
  );
  expect(rows).toEqual([]);
});

test("a tenant cannot reach another tenant's database, though roles belong to the whole server", async ({
  logIn,
  databaseUrl,
  pool,
  server,
}) => {
  const otherUrl = await server.createDatabase(undefined, { template: inject("template") });
  await createRoles({ connectionString: otherUrl });
  const database = (url: string) => decodeURIComponent(new URL(url).pathname.slice(1));
  for (const url of [databaseUrl, otherUrl])
    await pool.query(`revoke connect on database ${pg.escapeIdentifier(database(url))} from public`);
  await createRoles({ connectionString: databaseUrl });
  await pool.query(`grant connect on database ${pg.escapeIdentifier(database(databaseUrl))} to hark_worker`);
  const worker = await logIn("hark_worker", "hark_admin", "hark_producer", "hark_reader");

  // The same login, with every role, on the other tenant's database.
  const there = new URL(otherUrl);
  ({ username: there.username, password: there.password } = new URL(worker.url));
  const client = new pg.Client({ connectionString: there.href });
  client.on("error", () => {});
  await expect(client.connect()).rejects.toMatchObject({ code: "42501" });
  // Notifications stay within a database.
  const heard: string[] = [];
  worker.client.on("notification", ({ payload = "" }) => heard.push(payload));
  await worker.client.query("listen job_ready");
  const stranger = new pg.Client({ connectionString: otherUrl });
  await stranger.connect();
  try {
    await stranger.query("notify job_ready, 'theirs'");
  } finally {
    await stranger.end();
  }
  await pool.query("notify job_ready, 'own'");
  await expect.poll(() => heard, { timeout: 20_000 }).toContain("own");
  expect(heard).not.toContain("theirs");
});
