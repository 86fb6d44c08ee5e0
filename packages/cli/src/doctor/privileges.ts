import { doctor } from "@hark/core";
import { type Check, fail, ok, warn } from "./check.ts";

/**
 * Checks the rights to enqueue and to work. One of the two is enough for a role, so the lack of the
 * other is only a warning. A role that reads, as hark_reader, needs neither.
 */
export const privilegesCheck: Check = {
  name: "privileges",
  needs: "connection",
  async run({ db }) {
    const { schema, toEnqueue: enqueue, toWork: work, mayRead } = await doctor.findMissingPrivileges(db);
    if (schema === "missing") return fail("there is no Hark schema to have rights on", `Run "hark migrate".`);
    if (schema === "closed") {
      return fail("missing: usage on schema hark", "As its owner: grant usage on schema hark to <role>.", {
        missing: ["usage on schema hark"],
      });
    }
    const facts = { missingToEnqueue: enqueue, missingToWork: work };
    if (enqueue.length + work.length === 0) return ok("this role may enqueue and work", facts);
    const advice = `Run "hark migrate --roles", and grant this role hark_producer or hark_worker. Or grant what is missing, as the schema's owner.`;
    // A role that cannot even read the jobs is a producer's. One that lacks less was to work.
    if (enqueue.length === 0 && work.some((lack) => /\bselect\b.* on hark\.jobs$/.test(lack)))
      return ok("this role may enqueue, and not work", facts);
    if (mayRead && enqueue.length > 0 && work.some((lack) => lack.startsWith("select, ")))
      return ok("this role may read, and neither enqueue nor work", facts);
    if (work.length === 0)
      return warn(`this role may work but not enqueue; missing: ${enqueue.join(", ")}`, advice, facts);
    if (enqueue.length === 0)
      return warn(`this role may enqueue but not work; missing: ${work.join(", ")}`, advice, facts);
    return fail(`this role may neither enqueue nor work; missing: ${[...enqueue, ...work].join(", ")}`, advice, facts);
  },
};
