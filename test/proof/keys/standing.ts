import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import type { LedgerFile } from "../campaigns/ledger/ledger.ts";
import { queue } from "../campaigns/processes/jobs.ts";

/** From the end of one look to the next, in ms: looking takes time of the server. */
const everyMs = 1_000;

/**
 * Keys of which jobs are parked although none is ready or runs, so that nothing will hand the key
 * on. It walks from key to key along the index, so it costs the same however many jobs a key has.
 */
const standing = `
  with recursive named as (
    (select key from hark.jobs where queue = $1 and key is not null order by key limit 1)
    union all
    select (select key from hark.jobs where queue = $1 and jobs.key > named.key order by key limit 1)
      from named where named.key is not null)
  select key from named
   where key is not null
     and exists (select from hark.jobs where queue = $1 and jobs.key = named.key and state = 'parked')
     and not exists (select from hark.jobs where queue = $1 and jobs.key = named.key and state = 'ready')
     and not exists (select from hark.running_jobs where queue = $1 and running_jobs.key = named.key)`;

/** A key that stands for so long is left standing, in ms: a look and its answer take less. */
export const standingMs = 3_000;

export interface KeyWatch extends AsyncDisposable {
  /** Whether a key was left standing: what a run shows after that is that jobs do not end. */
  readonly hasFound: boolean;
}

/**
 * Looks for keys that are left standing until it is disposed of. Records each that is found so in
 * several looks in a row, with the time from the first to the last.
 */
export function watchKeys(pool: pg.Pool, ledger: LedgerFile): KeyWatch {
  const stopping = new AbortController();
  const since = new Map<string, number>();
  let hasFound = false;
  const look = async (): Promise<void> => {
    const { rows } = await pool.query<{ key: string }>(standing, [queue]);
    const at = performance.now();
    const found = new Set(rows.map(({ key }) => key));
    for (const key of since.keys()) if (!found.has(key)) since.delete(key);
    for (const key of found) {
      const from = since.get(key);
      if (from === undefined) since.set(key, at);
      else ledger.write({ event: "standing", key, forMs: Math.round(at - from) });
      hasFound ||= from !== undefined && at - from > standingMs;
    }
  };
  const running = (async () => {
    while (!stopping.signal.aborted) {
      await look().catch(() => {}); // no answer
      await sleep(everyMs, undefined, { signal: stopping.signal }).catch(() => {});
    }
  })();
  return {
    get hasFound() {
      return hasFound;
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await running;
    },
  };
}
