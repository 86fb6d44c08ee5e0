import { SchemaVersionError, schemaVersion } from "@hark/core";
import { isDenied } from "../connection.ts";
import { type Check, fail, ok } from "./check.ts";

export const schemaCheck: Check = {
  name: "schema",
  needs: "connection",
  async run({ connection: { url } }) {
    try {
      const { found, wanted, pending } = await schemaVersion(url);
      const facts = { found, wanted, pending };
      if (pending.length === 0) {
        const newer = found !== null && found > wanted ? `, which also supports this code (version ${wanted})` : "";
        return ok(`version ${found}${newer}`, facts);
      }
      const message = found === null ? "there is no Hark schema" : `version ${found} of ${wanted}`;
      return fail(message, `Run "hark migrate".`, facts);
    } catch (error) {
      if (error instanceof SchemaVersionError)
        return fail(error.message, "Use the version of Hark that migrated the database.", error.facts);
      if (isDenied(error)) {
        return fail(
          "this role may not read hark.migrations",
          "As the schema's owner: grant usage on schema hark to <role>; grant select on hark.migrations to <role>.",
        );
      }
      throw error;
    }
  },
};
