import type { Database } from "@hark/core";

/** Makes a scheduled job due, by moving its run time into the past. */
export async function makeDue({ pool }: Database, id: bigint): Promise<void> {
  await pool.query("update hark.jobs set run_at = clock_timestamp() - interval '1 ms' where id = $1", [id]);
}

/** Makes a worker's lease expire, by moving its end into the past. */
export async function expireLease({ pool }: Database, worker: string): Promise<void> {
  await pool.query("update hark.workers set expires_at = clock_timestamp() - interval '1 ms' where id = $1", [worker]);
}

/** Makes a lock expire, by moving its end into the past. */
export async function expireLock({ pool }: Database, key: string): Promise<void> {
  await pool.query("update hark.locks set expires_at = clock_timestamp() - interval '1 ms' where key = $1", [key]);
}
