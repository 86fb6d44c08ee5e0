import { type Check, fail, ok, type Patient, warn } from "./check.ts";

const read = ["select"];
const write = ["select", "insert", "update", "delete"];

/**
 * What the worker's statements do to each table; locking rows takes UPDATE. Partitions follow their parent. The same as what
 * drizzle/roles.sql grants to hark_worker.
 */
const workerTables: Readonly<Record<string, readonly string[]>> = {
  migrations: read,
  jobs: write,
  running_jobs: write,
  finished_jobs: ["select", "insert"],
  dead_jobs: ["insert"],
  attempts: ["select", "insert"],
  workers: write,
  locks: write,
  schedules: ["select", "insert", "update"],
  stats: write,
};

const workerFunctions = ["create_partitions", "drop_partitions", "next_fence", "fire_schedule"];

/** Two roles: one that enqueues, and one that works. Either alone is a way to live; neither is none. */
export const privilegesCheck: Check = {
  name: "privileges",
  needs: "connection",
  async examine({ db }) {
    const [schema] = await ask(
      db,
      `select has_schema_privilege(oid, 'usage') as may_use from pg_namespace where nspname = 'hark'`,
      [],
    );
    if (!schema) return fail("there is no Hark schema to have rights on", `Run "hark migrate".`);
    if (schema.may_use !== true) {
      return fail("missing: usage on schema hark", "As its owner: grant usage on schema hark to <role>.", {
        missing: ["usage on schema hark"],
      });
    }
    const enqueue = await missingFunctions(db, ["insert_jobs"]);
    const work = [
      ...(await missingOnTables(db)),
      ...(await missingFunctions(db, workerFunctions)),
      ...(await missingOnSequences(db, ["fence_numbers"])),
    ];
    const facts = { missingToEnqueue: enqueue, missingToWork: work };
    if (enqueue.length + work.length === 0) return ok("this role may enqueue and work", facts);
    const advice = `Grant it hark_producer or hark_worker, after "hark migrate --roles"; or what is missing, as the schema's owner.`;
    if (work.length === 0)
      return warn(`this role may work but not enqueue; missing: ${enqueue.join(", ")}`, advice, facts);
    if (enqueue.length === 0)
      return warn(`this role may enqueue but not work; missing: ${work.join(", ")}`, advice, facts);
    return fail(`this role may neither enqueue nor work; missing: ${[...enqueue, ...work].join(", ")}`, advice, facts);
  },
};

async function missingOnTables(db: Patient["db"]): Promise<string[]> {
  const needs = Object.entries(workerTables).flatMap(([table, rights]) =>
    rights.map((right) => [table, right] as const),
  );
  const rows = await ask(
    db,
    `select need.target, string_agg(need.privilege, ', ' order by need.place) as privileges
       from unnest($1::text[], $2::text[]) with ordinality as need (target, privilege, place)
       left join pg_class on relname = need.target and relnamespace = to_regnamespace('hark') and relkind in ('r', 'p')
      where not coalesce(has_table_privilege(pg_class.oid, need.privilege), false)
      group by need.target order by min(need.place)`,
    [needs.map(([table]) => table), needs.map(([, right]) => right)],
  );
  return rows.map(({ target, privileges }) => `${String(privileges)} on hark.${String(target)}`);
}

async function missingFunctions(db: Patient["db"], names: readonly string[]): Promise<string[]> {
  const rows = await ask(
    db,
    `select name from unnest($1::text[]) as name
      where not coalesce((select bool_and(has_function_privilege(oid, 'execute')) from pg_proc
                           where proname = name and pronamespace = to_regnamespace('hark')), false)`,
    [names],
  );
  return rows.map(({ name }) => `execute on function hark.${String(name)}`);
}

async function missingOnSequences(db: Patient["db"], names: readonly string[]): Promise<string[]> {
  const rows = await ask(
    db,
    `select name from unnest($1::text[]) as name
      where not coalesce((select has_sequence_privilege(oid, 'usage') from pg_class
                           where relname = name and relkind = 'S' and relnamespace = to_regnamespace('hark')), false)`,
    [names],
  );
  return rows.map(({ name }) => `usage on sequence hark.${String(name)}`);
}

async function ask(db: Patient["db"], text: string, values: unknown[]): Promise<Record<string, unknown>[]> {
  return (await db.query({ text, values })).rows;
}
