import { statement } from "../statement.ts";

export interface CertifyRequest {
  /**
   * The asking worker. Its own lease must have been renewed without a gap for `steadyMs`, or nobody
   * is declared dead. Undefined in the hands of someone who knows that they are dead.
   */
  readonly witness?: string | undefined;
  readonly steadyMs?: number | undefined;
}

/**
 * Issues death certificates: the only way to declare a process dead. Locks its row in the one mode
 * that conflicts with an open claim's, so that no claim commits for a dead owner. Returns the
 * workers that died, and forgets those that died an hour ago.
 *
 * A lease also runs out while the database is away, or its whole machine stands still. Then those
 * who live come back at the same time, and each renews its lease. So only a worker that has been
 * renewing for a while may say that another does not (docs/decisions/0037).
 */
export const certifyDeaths = statement<CertifyRequest, { id: string; name: string }>(
  "certify-deaths",
  ["witness", "steadyMs"],
  `with expired as materialized (
     select id from hark.workers where dead_at is null and expires_at < clock_timestamp()
        and ($1::uuid is null or exists (
          select from hark.workers witness where id = $1 and dead_at is null and expires_at > clock_timestamp()
             and steady_since < clock_timestamp() - $2::float8 * interval '1 ms'))
      order by id for update),
   forgotten as (
     delete from hark.workers where dead_at < clock_timestamp() - interval '1 hour'
        and not exists (select from hark.running_jobs where running_jobs.worker = workers.id))
   update hark.workers set dead_at = clock_timestamp() from expired where workers.id = expired.id
   returning workers.id, workers.name`,
  (row) => ({ id: row.id as string, name: row.name as string }),
);
