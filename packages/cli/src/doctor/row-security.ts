import { doctor } from "@hark/core";
import { type Check, fail, ok } from "./check.ts";

/** Row level security without a policy hides all rows, and no statement fails. */
export const rowSecurityCheck: Check = {
  name: "row security",
  needs: "connection",
  async run({ db }) {
    const tables = await doctor.listHiddenTables(db);
    if (tables.length === 0) return ok("no table hides its rows from this role");
    const named = tables.map((table) => `hark.${table}`);
    return fail(
      `row level security hides all rows of ${named.join(", ")} from this role: nothing runs`,
      `As the owner: ${named.map((table) => `alter table ${table} disable row level security;`).join(" ")} Or create policies.`,
      { tables },
    );
  },
};
