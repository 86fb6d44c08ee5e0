import { setTimeout as sleep } from "node:timers/promises";
import { sql } from "drizzle-orm";
import type { NodePgDatabase } from "drizzle-orm/node-postgres";
import { hosts } from "./schema.ts";

/**
 * How late a turn may be taken, in ms: about as late as a timer fires in a process with nothing
 * else to do.
 */
const punctualMs = 5;

/**
 * Waits for this page's turn at its host. Returns how long that took, in ms. Turns are `delayMs`
 * apart by the database's clock, in whichever process: one upsert books the next turn, so that two
 * workers never get the same. A missed turn is booked again, because a process that was suspended
 * would otherwise send all its requests at once.
 */
export async function waitForTurn(
  db: NodePgDatabase,
  url: string,
  { delayMs, signal }: { delayMs: number; signal: AbortSignal },
): Promise<number> {
  if (delayMs === 0) return 0;
  const askedAt = performance.now();
  for (let lateMs = Infinity; lateMs > Math.max(punctualMs, delayMs / 10);) {
    const waitMs = await bookTurn(db, new URL(url).host, delayMs);
    if (waitMs <= 0) break;
    const turnAt = performance.now() + waitMs;
    await sleep(waitMs, undefined, { signal });
    lateMs = performance.now() - turnAt;
  }
  return performance.now() - askedAt;
}

/** Books a turn. Returns how long it is until then, in ms. */
async function bookTurn(db: NodePgDatabase, host: string, delayMs: number): Promise<number> {
  const delay = sql`${delayMs}::float8 * interval '1 ms'`;
  const { rows } = await db.execute<{ wait_ms: number }>(sql`
    insert into ${hosts} as h (host, next_at) values (${host}, clock_timestamp() + ${delay})
    on conflict (host) do update set next_at = greatest(h.next_at, clock_timestamp()) + ${delay}
    returning extract(epoch from next_at - ${delay} - clock_timestamp())::float8 * 1000 as wait_ms`);
  return rows[0]?.wait_ms ?? 0;
}
