import { statement } from "./statement.ts";

/** A schedule as its declaration has it; `payload` is JSON already. `cron` with `zone`, or `everyMs`. */
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

/** The time by the database's clock, in epoch ms. */
export const databaseTime = statement<Record<string, never>, { nowMs: number }>(
  "database-time",
  [],
  `select floor(extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms`,
  (row) => ({ nowMs: row.now_ms as number }),
);

/**
 * Writes declarations down, and answers which of them were new or different: only those are written, and told to other schedulers.
 * A rule that stays the same keeps its next tick, so that what was missed meanwhile is still known. In order of names, since many
 * workers start at once (FM-31).
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

/** When a schedule is due next, and what one needs to know to fire it. */
export interface WaitingSchedule {
  readonly name: string;
  readonly revision: string;
  readonly cron: string | undefined;
  readonly zone: string | undefined;
  readonly everyMs: number | undefined;
  readonly missed: MissedTicks;
  /** In epoch ms, as `nowMs` is, the time by the database's clock. */
  readonly nextAtMs: number;
  readonly nowMs: number;
}

/** Those of the named schedules that have a tick before them, the earliest first. */
export const waitingSchedules = statement<{ names: readonly string[] }, WaitingSchedule>(
  "waiting-schedules",
  ["names"],
  `select name, revision::text, cron, zone, every_ms::float8, missed, (extract(epoch from next_at) * 1000)::float8 as next_at_ms,
          (extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms
     from hark.schedules where name = any ($1::text[]) and next_at is not null order by next_at, name`,
  (row) => ({
    name: row.name as string,
    revision: row.revision as string,
    cron: (row.cron as string | null) ?? undefined,
    zone: (row.zone as string | null) ?? undefined,
    everyMs: (row.every_ms as number | null) ?? undefined,
    missed: row.missed as MissedTicks,
    nextAtMs: row.next_at_ms as number,
    nowMs: row.now_ms as number,
  }),
);

export interface Firing {
  readonly name: string;
  readonly revision: string;
  /** The tick that was due when the schedule was read. */
  readonly dueAtMs: number;
  /** The ticks to enqueue jobs for, in epoch ms. */
  readonly tickMs: readonly number[];
  /** The next tick; undefined if there is none any more. */
  readonly nextAtMs: number | undefined;
}

/** Fires a schedule. Answers how many jobs that enqueued; undefined if it was not there to be fired any more, or not yet. */
export const fireSchedule = statement<Firing, { enqueued: number | undefined }>(
  "fire-schedule",
  ["name", "revision", "dueAtMs", "tickMs", "nextAtMs"],
  `select hark.fire_schedule($1, $2::bigint, to_timestamp($3::float8 / 1000),
                             array(select to_timestamp(ms / 1000) from unnest($4::float8[]) ms), to_timestamp($5::float8 / 1000)) as enqueued`,
  (row) => ({ enqueued: (row.enqueued as number | null) ?? undefined }),
);

/** Removes a schedule, and tells schedulers; no row if there was none. Its jobs stay. */
export const removeSchedule = statement<{ name: string }, { name: string }>(
  "remove-schedule",
  ["name"],
  `with removed as (delete from hark.schedules where name = $1 returning name),
   forgotten as (delete from hark.schedule_ticks where schedule in (select name from removed))
   select name, pg_notify('schedule_changed', name)::text as told from removed`,
  (row) => ({ name: row.name as string }),
);
