// @module-tag SEC-01
import { defineJob, openDatabase } from "@hark/core";
import { createProducer } from "@hark/producer";
import { implement } from "@hark/worker";
import { describe, expect } from "vitest";
import { untilState } from "../support/jobs.ts";
import { type Login, test as base } from "../support/logins.ts";

/*
 * SEC-01: hark_producer may enqueue and read its own results, and nothing else. Two shops enqueue,
 * each under its own login, beside a job of the schema's owner that holds a secret.
 */

const marker = "4111-1111-1111-1111";

const test = base
  .extend("shop", { scope: "file" }, ({ logIn }) => logIn("hark_producer"))
  .extend("rival", { scope: "file" }, ({ logIn }) => logIn("hark_producer"))
  .extend("secretId", { scope: "file" }, async ({ pool }) => {
    const { rows } = await pool.query<{ id: string }>(
      `select hark.enqueue('bank.transfer', jsonb_build_object('card', $1::text), unique_key => 'transfer') as id`,
      [marker],
    );
    return rows[0]!.id;
  });

/**
 * The SQLSTATE of a refusal. Any other error would mean that the statement is wrong, and would
 * prove nothing.
 */
const insufficientPrivilege = "42501";

/** Returns the SQLSTATE of a refused statement, or its result. */
async function attempt({ client }: Login, statement: string): Promise<string> {
  await client.query("begin");
  try {
    const { rows } = await client.query(statement);
    return `went through: ${JSON.stringify(rows)}`;
  } catch (error) {
    return (error as { code: string }).code;
  } finally {
    await client.query("rollback");
  }
}

const forbidden: [kind: string, statements: string[]][] = [
  [
    "reading payloads, results and errors",
    [
      "select payload from hark.jobs",
      "select payload from hark.running_jobs",
      "select result from hark.finished_jobs",
      "select error from hark.dead_jobs",
      "select error from hark.attempts",
      "select payload from hark.finished_jobs_default",
      "select id from hark.jobs",
      "select count(*) from hark.jobs",
      "table hark.unique_keys",
      "table hark.stats",
      "select owner from hark.job_owners",
      "select token from hark.locks",
      "select queues from hark.workers",
      "explain analyze select * from hark.jobs",
    ],
  ],
  ["reading without columns", ["select from hark.jobs", "select exists (select from hark.jobs where priority > 0)"]],
  [
    "writing jobs past the functions",
    [
      `insert into hark.jobs (queue, type, payload, priority, attempt, max_attempts, crash_count, run_at, created_at, state)
       values ('default', 'forged', '{}', 0, 0, 3, 0, now(), now(), 'ready')`,
      "insert into hark.finished_jobs select from hark.finished_jobs where false",
      "insert into hark.unique_keys values ('default', 'squat', 1)",
      "insert into hark.job_owners values (1, session_user, now())",
      "insert into hark.migrations values (999, 'forged', 'x')",
    ],
  ],
  [
    "changing jobs",
    [
      "update hark.jobs set priority = 100",
      "update hark.jobs set payload = '{}' where false",
      "update hark.running_jobs set token = gen_random_uuid()",
      "update hark.dead_jobs set error = ''",
      "update hark.job_owners set owner = session_user",
      "update hark.workers set dead_at = now()",
      "update hark.migrations set version = 0",
      "select from hark.jobs for update",
      "merge into hark.jobs using (values (1)) one on true when matched then delete",
    ],
  ],
  [
    "deleting",
    [
      "delete from hark.jobs",
      "delete from hark.finished_jobs",
      "delete from hark.locks",
      "truncate hark.jobs",
      "truncate hark.attempts_default",
      "lock table hark.jobs",
      "drop table hark.jobs",
      "drop function hark.announce_jobs() cascade",
      "drop trigger jobs_receive on hark.jobs",
      "drop schema hark cascade",
    ],
  ],
  [
    "running other roles' functions",
    [
      "select hark.next_fence('page')",
      "select hark.create_partitions(1)",
      "select hark.drop_partitions(1)",
      "select hark.hand_off('default', 'k')",
      "select nextval('hark.jobs_id_seq')",
      "select setval('hark.jobs_id_seq', 1)",
      "select nextval('hark.fence_numbers')",
      "select last_value from hark.jobs_id_seq",
    ],
  ],
  [
    "making and altering objects",
    [
      "create table hark.mine (id bigint)",
      "create function hark.mine() returns integer language sql as 'select 1'",
      "create view hark.mine as select 1",
      "create type hark.mine as (id bigint)",
      "create operator hark.= (leftarg = text, rightarg = text, function = texteq)",
      "create index on hark.jobs (payload)",
      "create rule mine as on insert to hark.jobs do instead nothing",
      "create policy mine on hark.jobs using (true)",
      "alter table hark.jobs add column mine text",
      "alter table hark.jobs disable trigger all",
      "alter table hark.jobs owner to current_user",
      "alter function hark.insert_jobs(jsonb) reset search_path",
      "alter function hark.insert_jobs(jsonb) security invoker",
      "create or replace function hark.insert_jobs(jobs jsonb) returns table (id bigint, status text) language sql as 'select 1, null::text'",
      "comment on table hark.jobs is 'mine'",
      "reindex table hark.jobs",
    ],
  ],
  [
    "getting more rights",
    [
      "set role hark_worker",
      "set role hark_admin",
      "set session authorization postgres",
      "grant hark_admin to current_user",
      "grant select on hark.jobs to current_user with grant option",
      "grant execute on function hark.next_fence to current_user",
      "alter role hark_producer superuser",
      "alter role current_user createrole",
      "alter default privileges in schema hark grant select on tables to public; create table hark.x ()",
      "reassign owned by hark_worker to current_user",
      "set session_replication_role = replica",
    ],
  ],
  [
    "copying in and out",
    [
      "copy hark.jobs to stdout",
      "copy hark.jobs (id, payload) to stdout",
      "copy (select payload from hark.jobs) to stdout",
      "copy hark.jobs from stdin",
      "copy hark.dead_jobs to program 'cat'",
      "copy (select 1) to '/tmp/hark-forbidden'",
    ],
  ],
];

describe("as hark_producer", () => {
  const statements = forbidden.flatMap(([kind, texts]) => texts.map((text) => [kind, text] as const));

  test("the list has at least thirty statements", () => {
    expect(statements.length).toBeGreaterThanOrEqual(30);
  });

  test.for(statements)("%s is refused: %s", { tags: ["CLOSED-1"] }, async ([, statement], { shop, secretId }) => {
    expect(secretId).toMatch(/^\d+$/); // there is a secret to read
    expect(await attempt(shop, statement)).toBe(insufficientPrivilege);
  });

  test("an error of an enqueue shows no row of another login", async ({ shop, secretId }) => {
    const said: string[] = [];
    for (const call of [
      `hark.enqueue('bank.transfer', '{}', unique_key => 'transfer')`,
      `hark.enqueue('Bad Name', '{}')`,
      `hark.insert_jobs('[{"type": "bank.transfer", "unique_key": "transfer"}]')`,
      `hark.insert_jobs('[{"type": null}]')`,
      `hark.insert_jobs('[{"type": "x", "max_attempts": 0}]')`,
      `hark.job_result(${secretId})`,
    ]) {
      const answer = await shop.client.query(`select ${call}::text as answer`).then(
        ({ rows }) => rows,
        (error: unknown) => error,
      );
      said.push(JSON.stringify(answer, Object.getOwnPropertyNames(Object(answer))));
    }
    expect(said.filter((text) => text.includes(marker))).toEqual([]);
  });

  test("it reads the results of its own jobs and of no others", async ({
    shop,
    rival,
    secretId,
    pool,
    startWorker,
    queue,
    db,
  }) => {
    const own = defineJob("shop.order");
    const poison = defineJob("shop.broken", { retry: { attempts: 1 } });
    const shopDb = openDatabase({ connectionString: shop.url });
    const producer = createProducer({ database: shopDb });
    try {
      const { id } = await producer.enqueue(own, { order: 1 }, { queue });
      const dead = await producer.enqueue(poison, { order: 2 }, { queue });
      const later = await producer.enqueue(own, { order: 3 }, { queue, delay: "1h" });
      const answerTo = async (login: Login, job: bigint | string) =>
        (await login.client.query("select state, result, error from hark.job_result($1)", [String(job)])).rows;
      expect(await answerTo(shop, id)).toEqual([{ state: "waiting", result: null, error: null }]);

      await startWorker(
        [
          implement(own, () => ({ shipped: true })),
          implement(poison, () => {
            throw new Error("no stock");
          }),
        ],
        { queues: { [queue]: 2 } },
      );
      await untilState(db, id, "completed");
      await untilState(db, dead.id, "dead");

      expect(await answerTo(shop, id)).toEqual([{ state: "completed", result: { shipped: true }, error: null }]);
      expect(await answerTo(shop, dead.id)).toEqual([
        { state: "dead", result: null, error: expect.stringContaining("no stock") },
      ]);
      expect(await answerTo(shop, later.id)).toEqual([{ state: "waiting", result: null, error: null }]);
      for (const foreign of [id, dead.id, later.id, secretId, "999999"])
        expect(await answerTo(rival, foreign)).toEqual([]);
      expect(await answerTo(shop, secretId)).toEqual([]);

      // Neither a duplicate nor a requeue changes the owner of a job.
      await rival.client.query(`select hark.enqueue('rival.order', '{}', queue => $1, unique_key => 'u')`, [queue]);
      const { rows } = await shop.client.query<{ id: string }>(
        `select hark.enqueue('shop.order', '{}', queue => $1, unique_key => 'u') as id`,
        [queue],
      );
      expect(await answerTo(shop, rows[0]!.id)).toEqual([]);
      const { rows: owners } = await pool.query("select owner from hark.job_owners where job_id = $1", [rows[0]!.id]);
      expect(owners).toEqual([{ owner: rival.name }]);
    } finally {
      await shopDb.close();
    }
  });

  test("values that insert_jobs does not check itself are refused too", async ({ shop, pool }) => {
    const long = JSON.stringify("x".repeat(400_000));
    for (const [job, message] of [
      [`{"type": "t", "payload": ${long}}`, /payload over 393216 bytes/],
      [`{"type": "t", "payload": ${"[".repeat(65)}${"]".repeat(65)}}`, /deeper than 64 levels/],
      [`{"type": "t", "payload": [1e400]}`, /beyond the range of a double/],
      [`{"type": "t", "run_at": "1969-12-31T00:00:00Z"}`, /due before 1970/],
      [`{"type": "t", "run_at": "infinity"}`, /due in more than 100 years/],
      [`{"type": "t", "run_at": "-infinity"}`, /due in more than 100 years/],
      [`{"type": "t", "run_at": "9999-01-01T00:00:00Z"}`, /due in more than 100 years/],
      [`{"type": "t", "max_attempts": 30000}`, /max_attempts over 1000/],
    ] as const) {
      await expect(
        shop.client.query("select * from hark.insert_jobs($1)", [`[{"type": "good"}, ${job}]`]),
      ).rejects.toThrow(message);
    }
    expect((await pool.query("select from hark.jobs where type in ('good', 't')")).rowCount).toBe(0);
  });

  test("old owners are deleted as new ones are added", async ({ shop, pool }) => {
    await pool.query(
      `insert into hark.job_owners select -n, 'somebody', now() - interval '31 days' from generate_series(1, 500) n`,
    );
    // One statement in fifty sweeps. The chance that none of 2,000 does is 3e-18.
    const many = JSON.stringify(Array.from({ length: 5 }, () => ({ type: "swept" })));
    for (let round = 0; round < 2_000; round += 1) {
      await shop.client.query("select from hark.insert_jobs($1)", [many]);
      if (round % 50 === 0 && (await left()) === 0) break;
    }
    async function left(): Promise<number> {
      return (await pool.query("select from hark.job_owners where job_id < 0")).rowCount ?? 0;
    }
    expect(await left()).toBe(0);
    expect((await pool.query("select from hark.job_owners where owner = $1", [shop.name])).rowCount).toBeGreaterThan(0);
  });
});
