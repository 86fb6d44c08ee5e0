import { doctor, SchemaVersionError, schemaVersion, SchemaWithoutLedgerError } from "@hark/core";
import { isDenied } from "../connection.ts";
import { type Check, fail, type Finding, ok, type Target } from "./check.ts";

export const schemaCheck: Check = {
  name: "schema",
  needs: "connection",
  async run(target) {
    try {
      const { found, wanted, pending } = await schemaVersion(target.connection.url);
      const facts = { found, wanted, pending };
      if (pending.length === 0) {
        const newer = found !== null && found > wanted ? `, which also supports this code (version ${wanted})` : "";
        return ok(`version ${found}${newer}`, facts);
      }
      const message = found === null ? "there is no Hark schema" : `version ${found} of ${wanted}`;
      return fail(message, await howToMigrate(target), facts);
    } catch (error) {
      if (error instanceof SchemaWithoutLedgerError) {
        const [what = error.message, ...rest] = error.message.split(/(?<=changed\.) /);
        return fail(what, rest.join(" "), error.facts);
      }
      if (error instanceof SchemaVersionError)
        return fail(error.message, "Use the version of Hark that migrated the database.", error.facts);
      if (isDenied(error)) return unreadable(target);
      throw error;
    }
  },
};

/** What to run, and first what an administrator has to run if this login may not migrate. */
async function howToMigrate({ db }: Target): Promise<string> {
  const { role, missing, remedy } = await doctor.findMigrationRights(db);
  if (missing === "") return `Run "hark migrate".`;
  return `Run "hark migrate" with a login that may. ${role} lacks ${missing}: an administrator can run ${remedy}`;
}

/** A producer reads no table, so it cannot see the version. */
async function unreadable({ db }: Target): Promise<Finding> {
  const { toEnqueue, schema } = await doctor.findMissingPrivileges(db);
  if (schema === "open" && toEnqueue.length === 0)
    return ok("this role may not read the version, and needs not: it may enqueue", { isReadable: false });
  return fail(
    "this role may not read hark.migrations",
    "As the schema's owner: grant usage on schema hark to <role>; grant select on hark.migrations to <role>.",
  );
}
