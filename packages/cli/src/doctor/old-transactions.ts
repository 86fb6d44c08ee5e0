import { doctor } from "@hark/core";
import { type Check, ok, spoken, warn } from "./check.ts";

/**
 * Age from which a transaction gives a warning, in ms. An old one keeps dead rows and notifications
 * from being removed.
 */
const oldMs = 300_000;

/**
 * Finds the oldest transaction of this database. Never shows its query, which may hold private
 * data.
 */
export const oldTransactionsCheck: Check = {
  name: "transactions",
  needs: "connection",
  async run({ db }) {
    const { oldest, seesAll } = await doctor.findOldestTransaction(db);
    const limits = seesAll ? "" : "; this role is not in pg_read_all_stats and sees only its own";
    if (!oldest) return ok(`no transaction is open${limits}`, { seesAll });
    const facts = { ...oldest, ageMs: Math.round(oldest.ageMs), seesAll };
    const message = `the oldest has been open for ${spoken(oldest.ageMs)}`;
    if (oldest.ageMs < oldMs) return ok(`${message}${limits}`, facts);
    return warn(
      `${message}: pid ${oldest.pid}, application "${oldest.application}", role ${oldest.role}, ${oldest.state}${limits}`,
      `While it is open, dead rows stay and claims slow down. End it there, or run: select pg_terminate_backend(${oldest.pid})`,
      facts,
    );
  },
};
