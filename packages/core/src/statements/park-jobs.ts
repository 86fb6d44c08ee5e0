import { statement } from "./statement.ts";

/**
 * Parks the ready jobs of keys that are running, at most `limit` of them: they leave the claim's way until hark.hand_off_key
 * brings them back. The running row is locked first. If it is about to go, it is skipped and its jobs stay ready; else it
 * cannot go before the parking has committed, and its hand-off then sees them (FM-40). Answers the keys that were held, so
 * that the claimer can tell whether to look again.
 */
export const parkJobs = statement<{ queue: string; keys: readonly string[]; limit: number }, { key: string }>(
  "park-jobs",
  ["queue", "keys", "limit"],
  `with held as materialized (
     select key from hark.running_jobs where queue = $1 and key = any ($2::text[]) order by id for share skip locked),
   blocked as materialized (
     select id from hark.jobs
      where queue = $1 and key = any (array(select key from held)) and state = 'ready'
      order by id limit $3 for update skip locked),
   parked as (update hark.jobs set state = 'parked' where id = any (array(select id from blocked)))
   select key from held`,
  (row) => ({ key: row.key as string }),
);
