import { doctor } from "@hark/core";
import { type Check, ok } from "./check.ts";

/** Names event triggers, which may refuse the tables that upkeep makes and drops each day. */
export const eventTriggersCheck: Check = {
  name: "event triggers",
  needs: "connection",
  async run({ db }) {
    const triggers = await doctor.listEventTriggers(db);
    if (triggers.length === 0) return ok("none sees the tables that upkeep makes and drops");
    return ok(
      `${triggers.join(", ")} also run when upkeep makes and drops a day of history: if one fails, that day is not made or dropped`,
      { triggers },
    );
  },
};
