import type { Queryable } from "@hark/core";

/** A job in one of the tables. A job that is in two tables shows twice. */
export interface Place {
  readonly id: bigint;
  readonly state: string;
  readonly attempt: number;
  readonly crashCount: number;
  readonly key: string | null;
  readonly uniqueKey: string | null;
  readonly worker: string | null;
  readonly token: string | null;
  /** The id of the job that holds the unique key. */
  readonly keyHolder: bigint | null;
  /** The number of rows in the table of attempts. */
  readonly lines: number;
}

/** Every job of the database by id, read in one statement. */
export async function placesOf(db: Queryable): Promise<Place[]> {
  const { rows } = await db.query({
    name: "places",
    text: `select place.id, state, attempt, "crashCount", key, "uniqueKey", worker, token, held.job_id as "keyHolder",
                  (select count(*) from hark.attempts where job_id = place.id)::int as lines
             from (select id, queue, state, attempt, crash_count as "crashCount", key, unique_key as "uniqueKey",
                          null::uuid as worker, null::uuid as token from hark.jobs
                   union all
                   select id, queue, 'running', attempt, crash_count, key, unique_key, worker, token from hark.running_jobs
                   union all
                   select id, queue, state, attempt, crash_count, key, unique_key, null, null from hark.finished_jobs
                   union all
                   select id, queue, 'dead', attempt, crash_count, key, unique_key, null, null from hark.dead_jobs) place
             left join hark.unique_keys held on held.queue = place.queue and held.unique_key = place."uniqueKey"
            order by place.id`,
    values: [],
  });
  return rows as unknown as Place[];
}

/** Empties the tables, waiting jobs first, because deleting a running job hands its key on. */
export async function clearJobs(db: Queryable): Promise<void> {
  const tables = ["jobs", "running_jobs", "finished_jobs", "dead_jobs", "attempts", "unique_keys", "workers", "stats"];
  await db.query({
    text: [...tables, "locks"].map((table) => `delete from hark.${table}`).join("; "),
    values: [],
  });
}
