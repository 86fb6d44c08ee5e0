import { statement } from "../statement.ts";

/** The name under which Hark's listeners are seen in pg_stat_activity. */
export const listenerName = "hark listener";

export interface FrozenListener {
  readonly pid: number;
  /** Since when it has been writing to a client that does not read, in ms. */
  readonly heldMs: number;
}

/**
 * Ends the sessions of our own listeners which have been writing to a client that does not read for
 * longer than `olderThanMs`, and returns them. Only those that this role may end: its own, or all
 * with pg_signal_backend. Such a session writes either within the transaction in which it reads
 * notifications, or just after it, and then it has been idle since its last ping.
 */
export const endFrozenListeners = statement<{ olderThanMs: number }, FrozenListener>(
  "end-frozen-listeners",
  ["olderThanMs"],
  `with frozen as materialized (
     select pid, extract(epoch from clock_timestamp() - coalesce(xact_start, state_change))::float8 * 1000 as held_ms
       from pg_stat_activity
      where datname = current_database() and application_name = 'hark listener' and wait_event = 'ClientWrite'
        and coalesce(xact_start, state_change) < clock_timestamp() - $1::float8 * interval '1 ms'
        and (pg_has_role(usesysid, 'usage') or pg_has_role('pg_signal_backend', 'usage')))
   select pid, held_ms from frozen where pg_terminate_backend(pid)`,
  (row) => ({ pid: row.pid as number, heldMs: Number(row.held_ms) }),
);
