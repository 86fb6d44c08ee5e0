import { DatabaseUnreachableError, doctor } from "@hark/core";
import { verdictOn } from "../exit-codes.ts";
import { type Check, fail, ok } from "./check.ts";

/** PostgreSQL 15, the oldest version that Hark's tests run on. */
const leastVersion = 150_000;

export const serverCheck: Check = {
  name: "connection",
  needs: "nothing",
  async run({ db, connection: { where, source } }) {
    const startedAt = performance.now();
    let server: doctor.ServerFacts;
    try {
      server = await doctor.describeServer(db);
    } catch (error) {
      const { message } = verdictOn(new DatabaseUnreachableError(where, error));
      return fail(message, `The URL comes from ${source}.`, { isConnected: false, where });
    }
    const tookMs = Math.round(performance.now() - startedAt);
    const { number, version, database, role, isStandby } = server;
    const facts = { isConnected: true, where, version, database, role, isStandby, tookMs };
    const message = `PostgreSQL ${version} at ${where} as ${role}, connected in ${tookMs} ms`;
    if (isStandby) {
      return fail(
        `${message}, which is a standby: it takes no writes, so nothing can be enqueued or run`,
        `Use the URL of the primary. If the address moves with a failover, wait until it leads to the primary.`,
        facts,
      );
    }
    return number >= leastVersion ? ok(message, facts) : fail(message, "Hark needs PostgreSQL 15 or newer.", facts);
  },
};
