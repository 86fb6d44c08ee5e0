import { doctor } from "@hark/core";
import { type Check, ok, spoken, warn } from "./check.ts";

/**
 * Age from which a transaction keeps dead rows and notifications from being cleared away, in ms.
 */
const oldMs = 300_000;

/**
 * The oldest transaction of this database: never with its query, which may hold what is nobody's
 * business.
 */
export const oldTransactionsCheck: Check = {
  name: "transactions",
  needs: "connection",
  async run({ db }) {
    const { oldest, seesAll } = await doctor.findOldestTransaction(db);
    const limits = seesAll ? "" : "; other roles' are hidden from this one, which is not in pg_read_all_stats";
    if (!oldest) return ok(`none is open${limits}`, { seesAll });
    const facts = { ...oldest, ageMs: Math.round(oldest.ageMs), seesAll };
    const message = `the oldest is open for ${spoken(oldest.ageMs)}`;
    if (oldest.ageMs < oldMs) return ok(`${message}${limits}`, facts);
    return warn(
      `${message}: pid ${oldest.pid}, application "${oldest.application}", role ${oldest.role}, ${oldest.state}${limits}`,
      `While it is open, dead rows stay and claims slow down. End it there, or by: select pg_terminate_backend(${oldest.pid}).`,
      facts,
    );
  },
};
