import { openDatabase, type Queryable } from "@hark/core";
import { statements } from "@hark/core/internal";
import { expect } from "vitest";
import { test as base } from "../support/fixtures.ts";
import { completed, countJobs, insertJobs, registerWorker } from "../support/jobs.ts";

type AnyStatement = { statementName: string; text: string };
const all = Object.entries(statements).filter(
  (entry): entry is [string, (typeof entry)[1] & AnyStatement] =>
    typeof entry[1] === "function" && "statementName" in entry[1],
);
const namedWith = (name: string) => all.find(([, { statementName }]) => statementName === name)![1].text;

/** Plans as a worker's own connections do: see plansByIndex. */
const test = base.extend("workerDb", { scope: "file" }, ({ databaseUrl }, { onCleanup }) => {
  const workerDb = openDatabase({ connectionString: databaseUrl, plansByIndex: true, maxConnections: 1 });
  onCleanup(() => workerDb.close());
  return workerDb;
});

test(
  "every statement prepares on the migrated database, under a unique name",
  { tags: ["PLAIN-1"] },
  async ({ db }) => {
    const client = await db.pool.connect();
    try {
      for (const [exported, { statementName, text }] of all) {
        await client.query(`prepare "${statementName}" as ${text}`).catch((cause: unknown) => {
          throw new Error(`${exported} does not prepare`, { cause });
        });
      }
      const { rows } = await client.query<{ name: string }>("select name from pg_prepared_statements where from_sql");
      expect(rows).toHaveLength(all.length);
      expect(all.length).toBeGreaterThanOrEqual(17);
    } finally {
      client.release(true); // drops its prepared statements
    }
  },
);

test("a job's settings are stored as given, also defaults that are not sent", async ({ db }) => {
  const values = { queue: ["default", "other"], priority: [0, 1], maxAttempts: [3, 4] } as const;
  const jobs = values.queue.flatMap((queue) =>
    values.priority.flatMap((priority) => values.maxAttempts.map((maxAttempts) => ({ queue, priority, maxAttempts }))),
  );
  const ids = await insertJobs(db, jobs);
  const { rows } = await db.pool.query<(typeof jobs)[number]>(
    `select queue, priority, max_attempts as "maxAttempts" from hark.jobs where id = any ($1::bigint[]) order by id`,
    [ids],
  );
  expect(rows).toEqual(jobs);
});

test(
  "claim, settle and promote use their indexes, even if the statistics say that the tables are empty",
  { tags: ["FAST-1"] },
  async ({ db, workerDb, queue }) => {
    await db.pool.query(
      "alter table hark.jobs set (autovacuum_enabled = off); alter table hark.running_jobs set (autovacuum_enabled = off)",
    );
    await db.pool.query("analyze hark.jobs; analyze hark.running_jobs; analyze hark.workers");
    const worker = await registerWorker(db);
    await db.pool.query(
      `insert into hark.jobs (queue, type, payload, priority, attempt, max_attempts, crash_count, key, run_at, created_at, state)
     select $1, 'test.plain', '{}', n % 3, 0, 3, 0, case when n % 10 = 0 then 'key ' || n end, clock_timestamp(), clock_timestamp(),
            case when n % 4 = 0 then 'scheduled' else 'ready' end
       from generate_series(1, 20000) n`,
      [queue],
    );
    const uuid = "00000000-0000-0000-0000-000000000001";
    const plans: [name: string, parameters: string, index: RegExp][] = [
      [
        "claim-jobs",
        `('${queue}', 10, '${worker}', '${uuid}', array['test.plain'], -2147483648, 0)`,
        /Index Scan using jobs_ready on jobs/,
      ],
      [
        "claim-contended-jobs",
        `('${queue}', 10, '${worker}', '${uuid}', array['test.plain'], -2147483648, 0)`,
        /Index Scan using jobs_ready on jobs/,
      ],
      [
        "claim-hindered-jobs",
        `('${queue}', 10, '${worker}', '${uuid}', array['test.plain'], -2147483648, 0)`,
        /Index Scan using jobs_ready on jobs[^]*jobs_pkey/,
      ],
      [
        "claim-plain-jobs",
        `('${queue}', 10, '${worker}', '${uuid}', array['test.plain'], -2147483648, 0)`,
        /Index Scan using jobs_ready on jobs/,
      ],
      ["confirm-claims", `('{1}', '{${uuid}}', '${worker}')`, /running_jobs_pkey[^]*jobs_pkey/],
      [
        "settle-and-claim-jobs",
        `('${queue}', 10, '${worker}', '${uuid}', array['test.plain'], 0, 7, '{1}', '{${uuid}}', null)`,
        /Index Scan using jobs_ready on jobs[^]*running_jobs_pkey|running_jobs_pkey[^]*Index Scan using jobs_ready on jobs/,
      ],
      ["complete-jobs", `('{1}', '{${uuid}}', null)`, /running_jobs_pkey/],
      [
        "complete-and-claim-next",
        `('{1}', '{${uuid}}', null, '${worker}', '${uuid}', array['test.plain'])`,
        /running_jobs_pkey[^]*Index Scan using jobs_key on jobs/,
      ],
      ["park-jobs", `('${queue}', '{key 10}', 10)`, /Index Scan using jobs_key on jobs/],
      ["retry-jobs", `('{1}', '{"1": {"token": "${uuid}"}}')`, /running_jobs_pkey/],
      ["bury-jobs", `('{1}', '{"1": {"token": "${uuid}"}}')`, /running_jobs_pkey/],
      ["promote-jobs", `(10, '-Infinity', null, '{}')`, /Index Scan using jobs_due on jobs/],
      ["cancel-job", `(1)`, /jobs_pkey/],
    ];
    for (const [name, parameters, index] of plans) {
      const client = await workerDb.pool.connect();
      try {
        await client.query(`prepare "${name}" as ${namedWith(name)}`);
        const { rows } = await client.query<{ "QUERY PLAN": string }>(`explain execute "${name}" ${parameters}`);
        const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
        expect(plan, name).toMatch(index);
        expect(plan, name).not.toMatch(/Seq Scan on jobs/); // a million jobs may wait; running jobs are limited by slots
        expect(plan, name).not.toMatch(/Function Scan on (unnest|jsonb)/); // the list of a settle must not be read once per running job
      } finally {
        client.release(true);
      }
    }
  },
);

/** Claims at most 5 jobs of a queue in which others of some keys stand ready. */
type ClaimFive = (
  client: Queryable,
  request: Omit<statements.ClaimRequest, "limit">,
) => Promise<statements.ClaimAnswer>;
const claimFive =
  (how: Pick<statements.ClaimRequest, "mayDefer" | "isContended" | "isHindered">): ClaimFive =>
  (client, request) =>
    statements.claimJobs(client, { ...request, ...how, limit: 5 });

/** Claims five, parks the others of their keys, and then settles the five. */
const settleFive: ClaimFive = async (client, request) => {
  const { jobs, ...answer } = await statements.claimJobs(client, { ...request, isHindered: true, limit: 5 });
  const keys = new Set(jobs.flatMap(({ key }) => key ?? []));
  const text = "update hark.jobs set priority = 1 where queue = $1 and state = 'parked'"; // or claims take them
  await client.query({ text, values: [request.queue] });
  const next = await statements.completeAndClaimNext(client, { ...completed(...jobs), ...request });
  expect(next.settled).toHaveLength(jobs.length);
  expect(next.claimed).toHaveLength(keys.size);
  expect(new Set(next.claimed.map(({ key }) => key))).toEqual(keys);
  return { ...answer, jobs: next.claimed };
};

const keyOf = "case when n % 3 = 0 then 'key ' || n % 50 end";
test.for<[what: string, claim: ClaimFive, keyOf: string]>([
  ["claim", claimFive({}), keyOf],
  ["claim that meets others", claimFive({ isContended: true }), keyOf],
  ["claim that others stand in the way of", claimFive({ isHindered: true }), keyOf],
  ["claim of plain jobs", claimFive({ mayDefer: true }), "null"],
  ["claim of the next of keys", settleFive, keyOf],
])(
  "a %s never takes more than its limit, with any plan and stale statistics",
  { tags: ["FM-26", "STRICT-4"] },
  async ([what, claim, keys], { db, queue }) => {
    const switches = ["material", "nestloop", "hashagg", "sort", "hashjoin", "mergejoin"];
    const worker = await registerWorker(db);
    await db.pool.query("alter table hark.jobs set (autovacuum_enabled = off)");
    await db.pool.query("analyze hark.jobs");
    await db.pool.query(
      `select hark.enqueue('test.plain', '{}', queue => $1, key => ${keys})
       from generate_series(1, 2000) n`,
      [queue],
    );
    const client = await db.pool.connect();
    try {
      for (let combination = 0; combination < 2 ** switches.length; combination += 1) {
        await client.query("begin");
        for (const [place, name] of switches.entries()) {
          await client.query(`set local enable_${name} = ${combination & (2 ** place) ? "on" : "off"}`);
        }
        const { jobs, isDeferred } = await claim(client, {
          queue,
          worker,
          token: crypto.randomUUID(),
          types: ["test.plain"],
        });
        const { rows: counts } = await client.query<{ waiting: number; running: number; finished: number }>(
          `select (select count(*)::int from hark.jobs where queue = $1) as waiting,
                  (select count(*)::int from hark.running_jobs where queue = $1) as running,
                  (select count(*)::int from hark.finished_jobs where queue = $1) as finished`,
          [queue],
        );
        await client.query("rollback");

        const { waiting, running, finished } = counts[0]!;
        expect(isDeferred, `combination ${combination}`).toBe(what === "claim of plain jobs");
        expect(jobs.length, `combination ${combination}`).toBeGreaterThan(0);
        expect(jobs.length, `combination ${combination}`).toBeLessThanOrEqual(5);
        expect(running, `combination ${combination}`).toBe(jobs.length);
        expect(waiting + running + finished, `combination ${combination}`).toBe(2_000);
        expect(finished > 0, `combination ${combination}`).toBe(claim === settleFive);
      }
    } finally {
      client.release();
    }
  },
);

test.for([
  ["a key", { key: "k" }],
  ["a single attempt", { maxAttempts: 1 }],
] as const)(
  "if a job with %s is among the next, a claim of plain jobs takes nothing, and one that may defer takes all and waits",
  { tags: ["FM-47"] },
  async ([, special], { db, queue }) => {
    const worker = await registerWorker(db);
    const [last, third, first, second] = await insertJobs(db, [
      { queue },
      { queue, priority: 1, ...special },
      { queue, priority: 2 },
      { queue, priority: 2 },
    ]);
    const request = { queue, worker, token: crypto.randomUUID(), types: ["test.plain"] };

    const plain = await statements.claimPlainJobs(db, { ...request, limit: 3, leastPriority: 0, afterId: 0n });
    expect(plain).toMatchObject([{ kind: "not plain" }]);
    expect(await countJobs(db, queue)).toEqual({ ready: 4 });

    const { jobs, isDeferred } = await statements.claimJobs(db, { ...request, limit: 4, mayDefer: true });
    expect(jobs.map(({ id }) => id)).toEqual([first, second, third, last]);
    expect(isDeferred).toBe(false);
  },
);

test("a claim that may defer ignores jobs behind its limit", { tags: ["FM-26", "FM-47"] }, async ({ db, queue }) => {
  const worker = await registerWorker(db);
  const ids = await insertJobs(db, [{ queue }, { queue }, { queue, key: "k" }, { queue, maxAttempts: 1 }]);
  const request = { queue, worker, token: crypto.randomUUID(), types: ["test.plain"], limit: 2, mayDefer: true };

  const { jobs, isDeferred } = await statements.claimJobs(db, request);

  expect(jobs.map(({ id }) => id)).toEqual(ids.slice(0, 2));
  expect(isDeferred).toBe(true);
  expect(await countJobs(db, queue)).toEqual({ ready: 2, running: 2 });
});
