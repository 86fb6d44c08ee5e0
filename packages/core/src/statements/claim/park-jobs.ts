import type { Queryable } from "../../database.ts";
import { statement } from "../statement.ts";

/**
 * Most jobs parked in one statement. It takes some 50 ms, for which running jobs of these keys
 * cannot be settled.
 */
const batchSize = 5_000;

/**
 * Parks the ready jobs of keys that are running, at most `limit` of them: they leave the claim's
 * way until hark.hand_off brings them back. The running row is locked first. If it is about to go,
 * it is skipped and its jobs stay ready; else it cannot go before the parking has committed, and
 * its hand-off then sees them (FM-40). Returns the keys that were held.
 */
export const parkJobs = statement<{ queue: string; keys: readonly string[]; limit: number }, { key: string }>(
  "park-jobs",
  ["queue", "keys", "limit"],
  `with held as materialized (
     select id, key, hands_off from hark.running_jobs where queue = $1 and key = any ($2::text[])
      order by id for no key update skip locked),
   blocked as materialized (
     select waiting.id from held, lateral (
       select id from hark.jobs where queue = $1 and jobs.key = held.key and state = 'ready' for update skip locked) waiting
      limit $3),
   parked as (update hark.jobs set state = 'parked' where id = any (array(select id from blocked))),
   told as (update hark.running_jobs set hands_off = true where id = any (array(select id from held where not hands_off)))
   select key from held`,
  (row) => ({ key: row.key as string }),
);

/**
 * Takes the ready jobs of running keys out of the claim's way. Returns false if one of the keys was
 * just about to come free, so that its jobs stay ready: then look again soon, since nothing else
 * may announce them.
 */
export async function parkBlocked(
  db: Queryable,
  { queue, keys }: { queue: string; keys: readonly string[] },
): Promise<boolean> {
  if (keys.length === 0) return true;
  const held = await parkJobs(db, { queue, keys, limit: batchSize });
  return held.length === keys.length;
}
