import { statement } from "../statement.ts";

/**
 * A schedule as its declaration has it; `payload` is JSON already. `cron` with `zone`, or
 * `everyMs`.
 */
export interface DeclaredSchedule {
  readonly name: string;
  readonly cron: string | undefined;
  readonly zone: string | undefined;
  readonly everyMs: number | undefined;
  readonly missed: MissedTicks;
  readonly queue: string;
  readonly type: string;
  readonly payloadJson: string;
  readonly priority: number;
  readonly maxAttempts: number;
  readonly key: string | undefined;
  readonly uniqueKey: string | undefined;
  /** The first tick, in epoch ms, if the schedule is new or its rule has changed. */
  readonly nextAtMs: number | undefined;
}

/** What happens to ticks that nobody was there to fire in time. */
export type MissedTicks = "none" | "once" | "all";

/**
 * Writes declarations down, and returns which of them were new or different: only those are
 * written, and told to other schedulers. A rule that stays the same keeps its next tick, so that
 * what was missed meanwhile is still known. In order of names, since many workers start at once
 * (FM-31). A different one whose row another transaction holds locked is left as it is, and
 * returned as not written: one row must not hold up the others (FM-77).
 */
export const declareSchedules = statement<{ schedules: string }, { name: string; isWritten: boolean }>(
  "declare-schedules",
  ["schedules"],
  `with declared as materialized (
     select name, cron, zone, every_ms, missed, queue, type, coalesce(payload, 'null') as payload, priority, max_attempts, key,
            unique_key, to_timestamp(next_at_ms / 1000) as next_at
       from jsonb_to_recordset($1::jsonb) as declared (
              name text, cron text, zone text, every_ms bigint, missed text, queue text, type text, payload jsonb, priority integer,
              max_attempts smallint, key text, unique_key text, next_at_ms float8)),
   changed as materialized (
     select declared.name, stored.name is not null as is_stored
       from declared left join hark.schedules stored on stored.name = declared.name
      where (stored.cron, stored.zone, stored.every_ms, stored.missed, stored.queue, stored.type, stored.payload, stored.priority,
             stored.max_attempts, stored.key, stored.unique_key)
            is distinct from
            (declared.cron, declared.zone, declared.every_ms, declared.missed, declared.queue, declared.type, declared.payload,
             declared.priority, declared.max_attempts, declared.key, declared.unique_key)),
   free as materialized (
     select name from hark.schedules where name = any (array(select name from changed)) order by name for update skip locked),
   written as (
     insert into hark.schedules as stored (name, cron, zone, every_ms, missed, queue, type, payload, priority, max_attempts, key,
                                           unique_key, revision, next_at, changed_at)
     select name, cron, zone, every_ms, missed, queue, type, payload, priority, max_attempts, key, unique_key, 1, next_at,
            clock_timestamp()
       from declared
      where name in (select name from changed where not is_stored union all select name from free) order by name
     on conflict (name) do update
        set cron = excluded.cron, zone = excluded.zone, every_ms = excluded.every_ms, missed = excluded.missed,
            queue = excluded.queue, type = excluded.type, payload = excluded.payload, priority = excluded.priority,
            max_attempts = excluded.max_attempts, key = excluded.key, unique_key = excluded.unique_key,
            revision = stored.revision + 1, changed_at = excluded.changed_at,
            next_at = case when (stored.cron, stored.zone, stored.every_ms)
                                is not distinct from (excluded.cron, excluded.zone, excluded.every_ms)
                           then stored.next_at else excluded.next_at end
      where (stored.cron, stored.zone, stored.every_ms, stored.missed, stored.queue, stored.type, stored.payload, stored.priority,
             stored.max_attempts, stored.key, stored.unique_key)
            is distinct from
            (excluded.cron, excluded.zone, excluded.every_ms, excluded.missed, excluded.queue, excluded.type, excluded.payload,
             excluded.priority, excluded.max_attempts, excluded.key, excluded.unique_key)
     returning name)
   select name, true as is_written, pg_notify('schedule_changed', name)::text as told from written
   union all
   select name, false, null from changed where is_stored and name not in (select name from free)`,
  (row) => ({ name: row.name as string, isWritten: row.is_written as boolean }),
);

/** The request of {@link declareSchedules}: one JSON array, each payload spliced in as it is. */
export function schedulesJson(schedules: readonly DeclaredSchedule[]): string {
  const each = schedules.map(({ payloadJson, everyMs, maxAttempts, uniqueKey, nextAtMs, ...same }) => {
    const fields = {
      ...same,
      every_ms: everyMs,
      max_attempts: maxAttempts,
      unique_key: uniqueKey,
      next_at_ms: nextAtMs,
    };
    return `${JSON.stringify(fields).slice(0, -1)},"payload":${payloadJson}}`;
  });
  return `[${each.join(",")}]`;
}
