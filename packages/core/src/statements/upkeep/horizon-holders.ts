import { statement } from "../statement.ts";

/** What keeps vacuum from clearing away dead rows of this database. */
export interface HorizonHolder {
  readonly kind: "session" | "prepared transaction" | "replication slot" | "standby";
  /** Process id, gid, slot name or the standby's process id here: with `kind`, who it is. */
  readonly id: string;
  /** The oldest transaction whose rows it may need: while that stays the same, it holds. */
  readonly horizon: string;
  /** For how long at most, in ms; undefined where the server does not say, or not to this role. */
  readonly heldMs: number | undefined;
  /** A label of the client's choice; undefined where it has none or this role may not see it. */
  readonly application: string | undefined;
  readonly role: string | undefined;
  /** A session's, such as "idle in transaction"; or "active" and "inactive" of a slot. */
  readonly state: string | undefined;
  /**
   * The first word of the session's last query, such as "copy". Never more: the rest may hold what
   * is nobody's business.
   */
  readonly command: string | undefined;
  /** The statement, or the words, that end it. */
  readonly remedy: string;
}

export interface DeadRows {
  /** Estimates of the server's. */
  readonly jobs: number;
  readonly runningJobs: number;
}

export interface HorizonRequest {
  /**
   * Sessions and transactions younger than this are left out, in ms. What has no known age is
   * answered anyway.
   */
  readonly olderThanMs: number;
  /**
   * Returns nothing unless this worker has been alive the longest, so that one of many looks;
   * undefined asks anyway.
   */
  readonly onlyIfEldest?: string | undefined;
}

/**
 * Who holds the xmin horizon of this database back: sessions with a snapshot or a transaction that
 * wrote, prepared transactions, replication slots, and standbys that send feedback. The longest
 * known first.
 *
 * - A session of another database holds nothing back here, nor does a vacuum (PostgreSQL's
 *   procarray.c); slots and standbys do.
 * - Roles outside of pg_read_all_stats see the horizon and the process of others' sessions, but
 *   neither their age nor their name.
 * - `inactive_since` is a column from PostgreSQL 17 on: read by way of JSON, it is null before.
 */
export const horizonHolders = statement<HorizonRequest, HorizonHolder & { deadRows: DeadRows }>(
  "horizon-holders",
  ["olderThanMs", "onlyIfEldest"],
  `with holders as (
     select 'session' as kind, pid::text as id, coalesce(backend_xid, backend_xmin)::text as horizon, xact_start as since,
            application_name, usename as role, state,
            lower(substring(query from '^\\s*([[:alpha:]]+)\\M')) as command,
            format('select pg_terminate_backend(%s)', pid) as remedy
       from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and (backend_xmin is not null or backend_xid is not null)
        and coalesce(backend_type, 'client backend') not in ('walsender', 'autovacuum worker')
        and pid not in (select pid from pg_stat_progress_vacuum)
     union all
     select 'prepared transaction', gid, transaction::text, prepared, null, owner, null, null, format('rollback prepared %L', gid)
       from pg_prepared_xacts where database = current_database()
     union all
     select 'replication slot', slot_name, xmin::text, (to_jsonb(slots) ->> 'inactive_since')::timestamptz, null, null,
            case when active then 'active' else 'inactive' end, null, format('select pg_drop_replication_slot(%L)', slot_name)
       from pg_replication_slots slots where xmin is not null
     union all
     select 'standby', pid::text, backend_xmin::text, null, application_name, usename, state, null,
            'end the long query on the standby, or set hot_standby_feedback = off there'
       from pg_stat_replication where backend_xmin is not null),
   dead as (
     select coalesce(sum(n_dead_tup) filter (where relname = 'jobs'), 0)::float8 as jobs,
            coalesce(sum(n_dead_tup) filter (where relname = 'running_jobs'), 0)::float8 as running_jobs
       from pg_stat_user_tables where schemaname = 'hark')
   select kind, id, horizon, extract(epoch from clock_timestamp() - since)::float8 * 1000 as held_ms,
          nullif(application_name, '') as application, role, state,
          case when command in ('select', 'insert', 'update', 'delete', 'merge', 'copy', 'with', 'fetch', 'begin', 'declare',
                                'create', 'alter', 'analyze', 'commit', 'call', 'set') then command end as command,
          remedy, dead.jobs as dead_jobs, dead.running_jobs as dead_running_jobs
     from holders, dead
    where (since is null or since < clock_timestamp() - $1::float8 * interval '1 ms')
      and ($2::uuid is null or $2 = (
        select id from hark.workers where dead_at is null and expires_at > clock_timestamp() order by started_at, id limit 1))
    order by since nulls last, id limit 100`,
  (row) => ({
    kind: row.kind as HorizonHolder["kind"],
    id: row.id as string,
    horizon: row.horizon as string,
    heldMs: row.held_ms === null ? undefined : Number(row.held_ms),
    application: (row.application as string | null) ?? undefined,
    role: (row.role as string | null) ?? undefined,
    state: (row.state as string | null) ?? undefined,
    command: (row.command as string | null) ?? undefined,
    remedy: row.remedy as string,
    deadRows: { jobs: Number(row.dead_jobs), runningJobs: Number(row.dead_running_jobs) },
  }),
);
