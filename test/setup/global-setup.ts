import { findInstalled, openTestDatabase } from "@hark/test/database";
import pg from "pg";
import type { TestProject } from "vitest/node";
import { migrateTemplate } from "./template.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** An administrator's URL of the run's server, on its maintenance database. */
    serverUrl: string;
    /**
     * The migrated database to copy. Nothing connects to it, because a database in use cannot be
     * copied.
     */
    template: string;
  }
}

/**
 * Opens one server for the whole run, and migrates one template on it. `openTestDatabase` says
 * which server that is. TEST_POSTGRES_MAJOR=15 asks for that version as installed on this machine.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await openTestDatabase({ binDirectory: installedOnRequest() });
  const roles = await rolesOn(server.url);
  try {
    process.stdout.write(`Tests run on ${server.describe}.\n`);
    const url = await server.createDatabase();
    await migrateTemplate(url);

    project.provide("serverUrl", server.url);
    project.provide("template", new URL(url).pathname.slice(1));
  } catch (error) {
    await server.stop();
    throw error;
  }
  return async () => {
    const added = (await rolesOn(server.url)).filter((role) => !roles.includes(role));
    if (added.length > 0 && server.kind === "given")
      await query(server.url, added.map((role) => `drop role ${role}`).join(";"));
    await server.stop();
  };
}

/** Hark's roles belong to the whole server: those that a test created are dropped after the run. */
async function rolesOn(url: string): Promise<string[]> {
  const { roleNames } = await import("@hark/core");
  const names = roleNames.map((name) => `'${name}'`).join(", ");
  const { rows } = await query(url, `select rolname from pg_roles where rolname in (${names})`);
  return (rows as { rolname: string }[]).map(({ rolname }) => rolname);
}

async function query(url: string, text: string): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await client.query(text);
  } finally {
    await client.end();
  }
}

function installedOnRequest(): string | undefined {
  const major = process.env["TEST_POSTGRES_MAJOR"];
  if (!major) return undefined;

  const found = findInstalled(Number(major));
  if (!found) throw new Error(`TEST_POSTGRES_MAJOR asks for PostgreSQL ${major}, which is not installed here.`);
  return found;
}
