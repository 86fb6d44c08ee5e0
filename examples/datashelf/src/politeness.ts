import { setTimeout as sleep } from "node:timers/promises";
import { sql } from "drizzle-orm";
import type { NodePgDatabase } from "drizzle-orm/node-postgres";
import { hosts } from "./schema.ts";

/**
 * Waits for this page's turn at its host. Turns are `delayMs` apart by the database's clock, whichever process takes them:
 * one upsert books the next, so that two workers never get the same.
 */
export async function waitForTurn(
  db: NodePgDatabase,
  url: string,
  { delayMs, signal }: { delayMs: number; signal: AbortSignal },
): Promise<void> {
  if (delayMs === 0) return;
  const delay = sql`${delayMs}::float8 * interval '1 ms'`;
  const { rows } = await db.execute<{ wait_ms: number }>(sql`
    insert into ${hosts} as h (host, next_at) values (${new URL(url).host}, clock_timestamp() + ${delay})
    on conflict (host) do update set next_at = greatest(h.next_at, clock_timestamp()) + ${delay}
    returning extract(epoch from next_at - ${delay} - clock_timestamp())::float8 * 1000 as wait_ms`);
  const waitMs = rows[0]?.wait_ms ?? 0;
  if (waitMs > 0) await sleep(waitMs, undefined, { signal });
}
