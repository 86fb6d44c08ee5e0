import { type Executor, readMigrations } from "@hark/core";

/** Answers whether the database's schema is this code's, or why not, as a reason code for /readyz. */
export async function schemaState(db: Executor): Promise<"ok" | "schema_missing" | "schema_outdated" | "schema_newer"> {
  const wanted = (await readMigrations()).length;
  const tables = await db.query({ text: `select to_regclass('hark.migrations') is not null as is_there`, values: [] });
  if (!tables.rows[0]?.is_there) return "schema_missing";
  const { rows } = await db.query({ text: `select max(version) as version from hark.migrations`, values: [] });
  const found = rows[0]?.version as number | null;
  if (found === null) return "schema_missing";
  if (found === wanted) return "ok";
  return found < wanted ? "schema_outdated" : "schema_newer";
}
