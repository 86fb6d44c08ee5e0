// @module-tag SEC-38
import { randomBytes } from "node:crypto";
import { cancelJob, createLocks, defineJob, openDatabase, roleNames } from "@hark/core";
import { channels } from "@hark/core/internal";
import { defineUrlJob } from "@hark/job-manager";
import { createProducer } from "@hark/producer";
import pg from "pg";
import { describe, expect, test as plainTest } from "vitest";
import { proseOf } from "../docs/blocks.ts";
import { rowsOf } from "../docs/tables.ts";
import { eventually } from "../support/eventually.ts";
import { call, routes } from "../support/http.ts";
import { untilState } from "../support/jobs.ts";
import { test as roleTest } from "../support/logins.ts";
import { test as serverTest } from "../support/servers.ts";

/*
 * SEC-38: docs/explanation/threat-model.md says what every role, token and listener can do. Each of
 * its tables is compared as a whole with the database or the server. One right more or less is a
 * failure.
 */

const document = "docs/explanation/threat-model.md";

/** The rows of the table whose first heading is `head`: the cells by name, without backticks. */
function tableOf(head: string): Record<string, string>[] {
  const rows = rowsOf(document).map((cells) => cells.map((cell) => cell.replaceAll("`", "")));
  const from = rows.findIndex(([first]) => first === head);
  expect(from, `a table of each ${head}`).toBeGreaterThanOrEqual(0);
  const heads = rows[from]!;
  const found = [];
  for (const cells of rows.slice(from + 1)) {
    if (isHead(cells)) break;
    found.push(Object.fromEntries(heads.map((name, place) => [name, cells[place]!])));
  }
  return found;
}

const isHead = ([first = ""]: string[]) => ["table", "function", "channel", "route", "between"].includes(first);

async function serverMajor(pool: pg.Pool): Promise<number> {
  const { rows } = await pool.query<{ server_version_num: string }>("show server_version_num");
  return Math.floor(Number(rows[0]!.server_version_num) / 10_000);
}

describe("by the database", () => {
  roleTest("the rights to tables match the document", async ({ logIn, pool }) => {
    await logIn("hark_producer"); // makes the roles
    const { rows } = await pool.query<{ table: string; role: string; rights: string }>(
      `select relname as table, role,
              concat_ws(', ',
                case when has_table_privilege(role, c.oid, 'select') then 'read'
                     when has_any_column_privilege(role, c.oid, 'select') then 'read' || coalesce(' but ' || (
                       select string_agg(attname, ', ' order by attnum) from pg_attribute
                        where attrelid = c.oid and attnum > 0 and not attisdropped
                          and not has_column_privilege(role, c.oid, attnum, 'select')), '') end,
                case when has_any_column_privilege(role, c.oid, 'insert') then 'add' end,
                case when has_any_column_privilege(role, c.oid, 'update') then 'change' end,
                case when has_table_privilege(role, c.oid, 'delete') then 'remove' end,
                case when current_setting('server_version_num')::int >= 170000
                     then case when has_table_privilege(role, c.oid, 'maintain') then 'maintain' end end,
                (select 'also ' || string_agg(distinct privilege_type, ', ') from aclexplode(relacl)
                  where grantee = role::regrole
                    and privilege_type not in ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'MAINTAIN'))) as rights
         from pg_class c, unnest($1::text[]) as role
        where relnamespace = 'hark'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'f') and not relispartition
        order by relname`,
      [roleNames],
    );
    const granted: Record<string, Record<string, string>> = {};
    for (const { table, role, rights } of rows) (granted[table] ??= { table })[role] = rights || "nothing";
    const documented = tableOf("table");
    if ((await serverMajor(pool)) < 17)
      for (const row of documented)
        for (const role of roleNames) row[role] = row[role]!.replace(/,? ?maintain$/, "") || "nothing";
    expect(documented).toEqual(Object.values(granted));
  });

  roleTest("no role can change a partition directly, or create anything in the schema", async ({ logIn, pool }) => {
    await logIn("hark_producer");
    const { rows } = await pool.query(
      `select relname, role from pg_class c, unnest($1::text[]) as role
        where relnamespace = 'hark'::regnamespace and relispartition
          and (has_table_privilege(role, c.oid, 'insert, update, delete, truncate, trigger')
               or role <> 'hark_admin' and has_any_column_privilege(role, c.oid, 'select'))
       union all
       select 'the schema', role from unnest($1::text[]) as role where has_schema_privilege(role, 'hark', 'create')`,
      [roleNames],
    );
    expect(rows).toEqual([]);
  });

  roleTest("the rights to functions match the document", async ({ logIn, pool }) => {
    await logIn("hark_producer");
    const { rows } = await pool.query<{ function: string; for: string[] }>(
      `select proname as function, array_agg(role order by place) as for
         from pg_proc p, unnest($1::text[]) with ordinality as roles (role, place)
        where pronamespace = 'hark'::regnamespace and has_function_privilege(role, p.oid, 'execute')
        group by proname order by proname`,
      [roleNames],
    );
    expect(tableOf("function").map((row) => ({ function: row["function"], for: row["for"] }))).toEqual(
      rows.map((row) => ({ function: row.function, for: row.for.join(", ") })),
    );
  });

  /** What each channel's payloads may hold, in the document's words, and their pattern. */
  const carried: Record<string, [words: string, shape: RegExp]> = {
    job_cancelled: ["the job's id", /^\d+$/],
    job_ready: ["the queue's name, how many jobs, the end of the transaction's id", /^threat-model \d+ \d{1,6}$/],
    job_scheduled: ["when it is due", /^\d{13}$/],
    key_waits: ["the queue's name", /^threat-model$/],
    lock_released: ["a hash of the lock's key", /^-?\d+$/],
    schedule_changed: ["the schedule's name", /^[a-z0-9][a-z0-9_.:-]*$/],
  };

  plainTest("the document lists every channel that Hark uses, and what it carries", () => {
    const listed = Object.fromEntries(tableOf("channel").map((row) => [row["channel"], row["carries"]!]));
    const internal = ["hark_heartbeat", "hark_listener_*", "hark_probe_*"]; // for a session's own health
    expect(Object.keys(listed).toSorted()).toEqual([...Object.values(channels), ...internal].toSorted());
    for (const [channel, [words]] of Object.entries(carried)) expect(listed[channel], channel).toContain(words);
    expect(Object.keys(carried)).toEqual(Object.values(channels).toSorted());
  });

  roleTest(
    "a login without any right can hear the channels, and learns no more of a job than they carry",
    async ({ pool, databaseUrl }) => {
      const stranger = `hark_test_${randomBytes(6).toString("hex")}`;
      await pool.query(`create role ${stranger} login password 'none'`);
      const url = new URL(databaseUrl);
      url.username = stranger;
      url.password = "none";
      const client = new pg.Client({ connectionString: url.href });
      const database = openDatabase({ connectionString: databaseUrl });
      const producer = createProducer({ database });
      const heard: { channel: string; payload: string }[] = [];
      try {
        await client.connect();
        client.on("notification", ({ channel, payload = "" }) => heard.push({ channel, payload }));
        for (const channel of Object.values(channels)) await client.query(`listen ${channel}`);

        // Opens the queue like a worker that sleeps on it, so that its jobs are announced. Every
        // login may take advisory locks.
        const queue = "threat-model";
        await client.query("select pg_advisory_lock_shared($1, hashtext($2))", [0x6861726b, queue]);

        const options = { queue, key: "secret-key", uniqueKey: "secret-unique" };
        const job = defineJob("secret.type");
        await producer.enqueue(job, { secret: "secret-payload" }, options);
        await producer.enqueue(job, { secret: "secret-payload" }, { ...options, uniqueKey: "secret-2", delay: 5_000 });
        const lock = await createLocks({ db: database }).acquire("secret-lock", { ttlMs: 60_000 });
        await lock.release();
        const { rows } = await pool.query<{ id: string }>(
          `with gone as (delete from hark.jobs where key = 'secret-key' and state = 'ready' returning *)
         insert into hark.running_jobs
         select id, queue, type, payload, priority, 1, max_attempts, crash_count, key, unique_key, run_at, created_at, now(),
                gen_random_uuid(), gen_random_uuid() from gone returning id`,
        );
        await cancelJob(database, BigInt(rows[0]!.id));
        await untilState(database, BigInt(rows[0]!.id), "cancelled");

        for (const channel of ["job_ready", "job_scheduled", "job_cancelled", "lock_released"])
          await eventually(() => heard.some((each) => each.channel === channel), { withinMs: 55_000, what: channel });
        for (const { channel, payload } of heard) {
          expect(payload, channel).toMatch(carried[channel]![1]);
          expect(payload, channel).not.toContain("secret");
        }
        await expect(client.query("select from hark.jobs")).rejects.toMatchObject({ code: "42501" });
      } finally {
        await Promise.all([producer.close(), client.end()]);
        await database.close();
        await pool.query(`drop role ${stranger}`);
      }
    },
  );
});

describe("by the server", () => {
  const heads = ["read", "enqueue", "enqueue:queue", "admin"] as const;

  serverTest("each scope opens the routes that the document says", async ({ start }) => {
    const tokens = heads.map((scope) => ({
      scope: scope.replace(":queue", ":shop"),
      token: randomBytes(32).toString("hex"),
    }));
    const { url } = await start({
      jobs: [defineUrlJob("product", { queue: "shop" }), defineUrlJob("category", { queue: "other" })],
      tokens: tokens.map(({ scope, token }) => ({ name: "caller", token, scopes: [scope as "read"] })),
    });
    const asked = async (request: (typeof routes)[number], token?: string) => {
      const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
      const { status } = await call(url + request.path, { ...request, headers });
      expect([200, 201, 401, 403, 404], `${request.method} ${request.path}`).toContain(status);
      return status < 400 || status === 404;
    };
    const found = [];
    for (const request of routes) {
      const row: Record<string, string> = { route: `${request.method} ${request.pattern ?? request.path}` };
      row["without a token"] = (await asked(request)) ? "open" : "refused";
      for (const [place, head] of heads.entries()) {
        const { token } = tokens[place]!;
        const isOpen = await asked(request, token);
        const isOpenElsewhere =
          request.method === "POST" && request.path.endsWith("/jobs")
            ? await asked({ ...request, body: { ...(request.body as object), type: "category" } }, token)
            : isOpen;
        row[head] = isOpen === isOpenElsewhere ? (isOpen ? "open" : "refused") : "its queue only";
      }
      found.push(row);
    }
    expect(tableOf("route")).toEqual(found);
  });
});

plainTest("the document covers each role, tokens, LISTEN and the network", () => {
  const prose = proseOf(document);
  for (const subject of [...roleNames, "bearer token", "may listen", "## The network"])
    expect(prose).toContain(subject);
  expect(tableOf("between").length).toBeGreaterThanOrEqual(5);
});
