import { findInstalled, openTestDatabase } from "@hark/test/database";
import type { TestProject } from "vitest/node";

import { migrateTemplate } from "./template.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** An administrator of the run's server, on its maintenance database. */
    serverUrl: string;
    /** The migrated database to copy. Nothing connects to it, since a database in use cannot be copied. */
    template: string;
  }
}

/**
 * Opens one server for the whole run, and migrates one template on it. Which server that is, is told in
 * `openTestDatabase`; TEST_POSTGRES_MAJOR=15 asks for that version as it is installed on this machine.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await openTestDatabase({ binDirectory: installedOnRequest() });
  try {
    console.log(`Tests run on ${server.describe}.`);
    const url = await server.createDatabase();
    await migrateTemplate(url);

    project.provide("serverUrl", server.url);
    project.provide("template", new URL(url).pathname.slice(1));
  } catch (error) {
    await server.stop();
    throw error;
  }
  return () => server.stop();
}

function installedOnRequest(): string | undefined {
  const major = process.env["TEST_POSTGRES_MAJOR"];
  if (!major) return undefined;

  const found = findInstalled(Number(major));
  if (!found) throw new Error(`TEST_POSTGRES_MAJOR asks for PostgreSQL ${major}, which is not installed here.`);
  return found;
}
