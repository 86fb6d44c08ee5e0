import type { Queryable } from "../database.ts";

const read = ["select"];
const write = ["select", "insert", "update", "delete"];

/**
 * What the worker's statements do to each table; locking rows takes UPDATE. Partitions follow their
 * parent. The same as what drizzle/roles.sql grants to hark_worker.
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
  hosts: ["select", "update", "delete"],
  schedules: ["select", "insert", "update"],
  stats: write,
};

const workerFunctions = [
  "create_partitions",
  "drop_partitions",
  "next_fence",
  "fire_schedule",
  "take_turn",
  "absolve_claims",
  "lock_row",
  "separate_ids",
];

export interface MissingPrivileges {
  /**
   * "missing": there is no schema; "closed": this role may not use it. Then nothing else was asked.
   */
  readonly schema: "missing" | "closed" | "open";
  /** Rights that this role lacks to enqueue, as words of GRANT. */
  readonly toEnqueue: readonly string[];
  /** Rights that it lacks to run jobs. */
  readonly toWork: readonly string[];
  /** It may read which jobs there are, as hark_reader may. */
  readonly mayRead: boolean;
}

/** What the connected role lacks to enqueue and to run jobs. */
export async function findMissingPrivileges(db: Queryable): Promise<MissingPrivileges> {
  const [schema] = await ask(
    db,
    `select has_schema_privilege(oid, 'usage') as may_use from pg_namespace where nspname = 'hark'`,
    [],
  );
  if (schema?.may_use !== true)
    return { schema: schema ? "closed" : "missing", toEnqueue: [], toWork: [], mayRead: false };
  const [jobs] = await ask(
    db,
    `select has_any_column_privilege(oid, 'select') as may_read from pg_class where oid = to_regclass('hark.jobs')`,
    [],
  );
  return {
    schema: "open",
    mayRead: jobs?.may_read === true,
    toEnqueue: await missingFunctions(db, ["insert_jobs"]),
    toWork: [
      ...(await missingOnTables(db)),
      ...(await missingFunctions(db, workerFunctions)),
      ...(await missingOnSequences(db, ["fence_numbers"])),
    ],
  };
}

async function missingOnTables(db: Queryable): Promise<string[]> {
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

async function missingFunctions(db: Queryable, names: readonly string[]): Promise<string[]> {
  const rows = await ask(
    db,
    `select name from unnest($1::text[]) as name
      where not coalesce((select bool_and(has_function_privilege(oid, 'execute')) from pg_proc
                           where proname = name and pronamespace = to_regnamespace('hark')), false)`,
    [names],
  );
  return rows.map(({ name }) => `execute on function hark.${String(name)}`);
}

async function missingOnSequences(db: Queryable, names: readonly string[]): Promise<string[]> {
  const rows = await ask(
    db,
    `select name from unnest($1::text[]) as name
      where not coalesce((select has_sequence_privilege(oid, 'usage') from pg_class
                           where relname = name and relkind = 'S' and relnamespace = to_regnamespace('hark')), false)`,
    [names],
  );
  return rows.map(({ name }) => `usage on sequence hark.${String(name)}`);
}

async function ask(db: Queryable, text: string, values: unknown[]): Promise<Record<string, unknown>[]> {
  return (await db.query({ text, values })).rows;
}
