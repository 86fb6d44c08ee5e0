import { statement } from "../statement.ts";

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

/**
 * Fires a schedule. Returns how many jobs that enqueued; undefined if it was not there to be fired
 * any more, or not yet.
 */
export const fireSchedule = statement<Firing, { enqueued: number | undefined }>(
  "fire-schedule",
  ["name", "revision", "dueAtMs", "tickMs", "nextAtMs"],
  `select hark.fire_schedule($1, $2::bigint, to_timestamp($3::float8 / 1000),
                             array(select to_timestamp(ms / 1000) from unnest($4::float8[]) ms), to_timestamp($5::float8 / 1000)) as enqueued`,
  (row) => ({ enqueued: (row.enqueued as number | null) ?? undefined }),
);
