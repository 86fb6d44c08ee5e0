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
 * (FM-31).
 */
export const declareSchedules = statement<{ schedules: string }, { name: string }>(
  "declare-schedules",
  ["schedules"],
  `with declared as (
     insert into hark.schedules as stored (name, cron, zone, every_ms, missed, queue, type, payload, priority, max_attempts, key,
                                           unique_key, revision, next_at, changed_at)
     select name, cron, zone, every_ms, missed, queue, type, coalesce(payload, 'null'), priority, max_attempts, key, unique_key, 1,
            to_timestamp(next_at_ms / 1000), clock_timestamp()
       from jsonb_to_recordset($1::jsonb) as declared (
              name text, cron text, zone text, every_ms bigint, missed text, queue text, type text, payload jsonb, priority integer,
              max_attempts smallint, key text, unique_key text, next_at_ms float8)
      order by name
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
   select name, pg_notify('schedule_changed', name)::text as told from declared`,
  (row) => ({ name: row.name as string }),
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
