import { doctor } from "@hark/core";
import { type Check, ok, warn } from "./check.ts";

/** Finds sessions that hold locks which workers and migrations take. Any login may take them. */
export const advisoryLocksCheck: Check = {
  name: "advisory locks",
  needs: "schema",
  async run({ db }) {
    const holders = await doctor.listLockHolders(db);
    const [first] = holders;
    if (!first) return ok("no stranger holds one of Hark's");
    const who = holders.map(
      ({ pid, role, application, locks }) => `pid ${pid}, role ${role}, application "${application}": ${locks}`,
    );
    return warn(
      `others hold locks of Hark's class: ${who.join("; ")}`,
      `Idle workers look once a second instead of sleeping, and migrations wait ten seconds. End it there, or run: select pg_terminate_backend(${first.pid})`,
      { holders },
    );
  },
};
