import { asId, statement } from "./statements/statement.ts";

/** A grant, or who is in the way. */
export type LockAnswer =
  | { isGranted: true; fence: bigint }
  | { isGranted: false; keyHash: string; expiresInMs: number };

/**
 * Takes a free or expired lock, or answers who is in the way. Those who try at once go one by one
 * (next_fence). It does not wait for a row that another transaction holds locked, or it would hold
 * up other keys: with its connection, and with the row that next_fence has locked (FM-77).
 */
export const acquireLock = statement<{ key: string; token: string; owner: string; ttlMs: number }, LockAnswer>(
  "acquire-lock",
  ["key", "token", "owner", "ttlMs"],
  `with expired as materialized (
     select from hark.locks where key = $1 and expires_at <= clock_timestamp() for update skip locked),
   granted as (
     insert into hark.locks as held (key, token, fence, owner, acquired_at, expires_at)
     select $1, $2, hark.next_fence($1), $3, clock_timestamp(), clock_timestamp() + $4::float8 * interval '1 ms'
      where exists (select from expired) or not exists (select from hark.locks where key = $1)
     on conflict (key) do update
        set token = excluded.token, fence = excluded.fence, owner = excluded.owner,
            acquired_at = excluded.acquired_at, expires_at = clock_timestamp() + $4::float8 * interval '1 ms'
      where held.expires_at <= clock_timestamp()
     returning fence)
   select true as is_granted, fence, null as key_hash, null::float8 as expires_in_ms from granted
   union all
   select false, null, hashtextextended($1, 0)::text, extract(epoch from expires_at - clock_timestamp())::float8 * 1000
     from hark.locks where key = $1 and not exists (select from granted)`,
  (row) =>
    row.is_granted
      ? { isGranted: true, fence: asId(row.fence) }
      : { isGranted: false, keyHash: row.key_hash as string, expiresInMs: Math.max(Number(row.expires_in_ms), 0) },
);

export const renewLock = statement<{ key: string; token: string; ttlMs: number }, true>(
  "renew-lock",
  ["key", "token", "ttlMs"],
  `update hark.locks set expires_at = clock_timestamp() + $3::float8 * interval '1 ms'
    where key = $1 and token = $2 and expires_at > clock_timestamp() returning true`,
  () => true,
);

export const releaseLock = statement<{ key: string; token: string }, true>(
  "release-lock",
  ["key", "token"],
  `with gone as (delete from hark.locks where key = $1 and token = $2 returning key, expires_at > clock_timestamp() as was_held)
   select was_held, pg_notify('lock_released', hashtextextended(key, 0)::text) from gone where was_held`,
  () => true,
);

export const guardLock = statement<{ key: string; token: string }, true>(
  "guard-lock",
  ["key", "token"],
  `select true from hark.locks where key = $1 and token = $2 and expires_at > clock_timestamp() for share`,
  () => true,
);
