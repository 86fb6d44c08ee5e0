import type { Database } from "@hark/core";

/** Lets time pass for a job that is scheduled, by moving when it is due into the past. */
export async function makeDue({ pool }: Database, id: bigint): Promise<void> {
  await pool.query("update hark.jobs set run_at = clock_timestamp() - interval '1 ms' where id = $1", [id]);
}

/** Lets a worker's lease run out, by moving its end into the past. */
export async function expireLease({ pool }: Database, worker: string): Promise<void> {
  await pool.query("update hark.workers set expires_at = clock_timestamp() - interval '1 ms' where id = $1", [worker]);
}

/** Lets a lock's time run out, by moving its end into the past. */
export async function expireLock({ pool }: Database, key: string): Promise<void> {
  await pool.query("update hark.locks set expires_at = clock_timestamp() - interval '1 ms' where key = $1", [key]);
}
