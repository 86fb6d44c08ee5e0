import { type Check, ok, spoken, warn } from "./check.ts";

/** Age from which a transaction keeps dead rows and notifications from being cleared away, in ms. */
const oldMs = 300_000;

/** The oldest transaction of this database: never with its query, which may hold what is nobody's business. */
export const oldTransactionsCheck: Check = {
  name: "transactions",
  needs: "connection",
  async examine({ db }) {
    const { rows } = await db.query({
      text: `select pid, application_name, usename, state, extract(epoch from clock_timestamp() - xact_start)::float8 * 1000 as age_ms
               from pg_stat_activity
              where datname = current_database() and xact_start is not null and pid <> pg_backend_pid()
                and backend_type = 'client backend'
              order by xact_start limit 1`,
      values: [],
    });
    const oldest = rows[0] as
      | { pid: number; application_name: string; usename: string; state: string; age_ms: number }
      | undefined;
    const seen = await seesAll(db);
    const limits = seen ? "" : "; other roles' are hidden from this one, which is not in pg_read_all_stats";
    if (!oldest) return ok(`none is open${limits}`, { seesAll: seen });
    const facts = {
      pid: oldest.pid,
      application: oldest.application_name,
      role: oldest.usename,
      state: oldest.state,
      ageMs: Math.round(oldest.age_ms),
      seesAll: seen,
    };
    const message = `the oldest is open for ${spoken(oldest.age_ms)}`;
    if (oldest.age_ms < oldMs) return ok(`${message}${limits}`, facts);
    return warn(
      `${message}: pid ${oldest.pid}, application "${oldest.application_name}", role ${oldest.usename}, ${oldest.state}${limits}`,
      `While it is open, dead rows stay and claims slow down. End it there, or by: select pg_terminate_backend(${oldest.pid}).`,
      facts,
    );
  },
};

async function seesAll(db: Parameters<Check["examine"]>[0]["db"]): Promise<boolean> {
  const { rows } = await db.query({ text: `select pg_has_role('pg_read_all_stats', 'usage') as sees`, values: [] });
  return rows[0]?.sees === true;
}
