import { openPool } from "./pool.ts";
import type { Run } from "./run.ts";

/** What a call cost. */
export interface Cost {
  /** Pages that its statements read or wrote, in memory or from disk. */
  readonly buffers: number;
  /** Time of the server, in ms. */
  readonly ms: number;
}

export interface Meter extends AsyncDisposable {
  /** Runs `work` while nothing else uses the run's database. Returns what its statements cost. */
  of(work: () => Promise<unknown>): Promise<Cost>;
}

/** Measures the cost of calls in the run's database, from pg_stat_statements. */
export async function openMeter(run: Run): Promise<Meter> {
  await run.query("create extension if not exists pg_stat_statements");
  const pool = openPool(run.url, 1);
  return {
    async of(work) {
      await pool.query("select pg_stat_statements_reset()");
      await work();
      const { rows } = await pool.query<Cost>(
        `select coalesce(sum(shared_blks_hit + shared_blks_read), 0)::float8 as buffers,
                coalesce(sum(total_exec_time), 0)::float8 as ms
           from pg_stat_statements
          where dbid = (select oid from pg_database where datname = current_database())
            and query not like '%pg_stat_statements%'`,
      );
      return rows[0]!;
    },
    [Symbol.asyncDispose]: () => pool.end(),
  };
}
