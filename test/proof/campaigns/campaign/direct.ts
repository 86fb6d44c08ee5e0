import type pg from "pg";
import type { Wish } from "../ledger/entries.ts";
import type { LedgerFile } from "../ledger/ledger.ts";
import { attempts, probe, probeQueueOf, queue, work } from "../processes/jobs.ts";

/**
 * Enqueues with plain SQL, as from psql, and records wish and answer. Returns the id. Throws if
 * there is no answer.
 */
export async function enqueueDirectly(
  pool: pg.Pool,
  ledger: LedgerFile,
  { inQueue, ...wish }: Wish & { inQueue: string },
): Promise<string> {
  ledger.write({ event: "wished", ...wish });
  try {
    const { rows } = await pool.query<{ id: string }>(
      `select hark.enqueue($1, $2, queue => $3, max_attempts => $4, key => $5,
                           delay => $6::float8 * interval '1 ms')::text as id`,
      [
        wish.type,
        JSON.stringify({ ref: wish.ref, does: wish.does, ms: wish.ms ?? 0, times: wish.times ?? 0 }),
        inQueue,
        wish.maxAttempts,
        wish.key ?? null,
        wish.delayMs ?? null,
      ],
    );
    const id = rows[0]!.id;
    ledger.write({ event: "enqueued", ref: wish.ref, id, status: "inserted" });
    return id;
  } catch (error) {
    ledger.write({ event: "unknown", ref: wish.ref, error: String(error) });
    throw error;
  }
}

export const probeWish = (ref: string, worker: string, delayMs: number): Wish & { inQueue: string } => ({
  ref,
  type: probe.type,
  does: "probe",
  maxAttempts: attempts,
  inQueue: probeQueueOf(worker),
  ...(delayMs > 0 && { delayMs }),
});

export const workWish = (wish: Pick<Wish, "ref" | "does" | "ms">): Wish & { inQueue: string } => ({
  type: work.type,
  maxAttempts: attempts,
  inQueue: queue,
  ...wish,
});
