import { doctor } from "@hark/core";
import { type Check, fail, ok } from "./check.ts";

/** Finds tables that a publication makes read-only but for inserts (FM-84). */
export const replicaIdentityCheck: Check = {
  name: "publications",
  needs: "connection",
  async run({ db }) {
    const tables = await doctor.listTablesWithoutIdentity(db);
    if (tables.length === 0) return ok("no publication makes PostgreSQL refuse updates or deletes of Hark's tables");
    const publications = [...new Set(tables.flatMap((table) => table.publications))];
    return fail(
      `PostgreSQL refuses updates and deletes of ${tables.map(({ table }) => `hark.${table}`).join(", ")}, which publication ${publications.join(", ")} covers and which have no replica identity`,
      `As the owner: ${tables.map(({ table }) => `alter table hark.${table} replica identity full;`).join(" ")}`,
      { tables },
    );
  },
};
