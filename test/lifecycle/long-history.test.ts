import { getJob, type JobDetails } from "@hark/core";
import { expect } from "vitest";
import { test } from "../support/fixtures.ts";

const days = 200;
const jobsPerDay = 5;

/** The day of a place in history, 1 being the oldest, in days before today. */
const age = (day: number) => days - day;

test(
  "one job of a long history is found without a look at every day, wherever it stands",
  { tags: ["FM-79"] },
  async ({ db }) => {
    await db.pool.query(`do $$
      declare day date; parent text;
      begin
        for day in select current_date - n from generate_series(1, ${days}) n loop
          foreach parent in array array['finished_jobs', 'attempts'] loop
            execute format('create table hark.%I partition of hark.%I for values from (%L) to (%L)',
              parent || '_' || to_char(day, 'YYYYMMDD'), parent, day::timestamptz, (day + 1)::timestamptz);
          end loop;
        end loop;
      end $$`);
    // Of each day's jobs the first has an ending in the ledger, and the last has waited for 30
    // days.
    await db.pool.query(
      `with history as (
         select 1000 * day + n as id, (current_date - $1::integer + day)::timestamptz + n * interval '1 hour' as finished_at,
                case when n = $2 then 30 else 0 end * interval '1 day' as waited, n
           from generate_series(0, $1::integer - 1) day, generate_series(1, $2::integer) n),
       done as (
         insert into hark.finished_jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, run_at, created_at,
                                         state, finished_at)
         select case when waited > '0' then id - 30000 + 500 else id end, 'long', 'test.plain', '{"here":true}', 0, 2, 3, 0, finished_at,
                finished_at - waited, 'completed', finished_at from history)
       insert into hark.attempts (job_id, queue, type, attempt, ending, finished_at)
       select id, 'long', 'test.plain', 1, 'error', finished_at from history where n = 1`,
      [days, jobsPerDay],
    );

    /** The job, and how many days of history a look at it locked. */
    const look = (id: number, options: { withPayload?: boolean } = {}): Promise<[JobDetails | undefined, number]> =>
      db.transaction(async (client) => {
        const job = await getJob(client, BigInt(id), options);
        const { rows } = await client.query<{ met: number }>(
          `select count(*)::integer as met from pg_locks join pg_class on pg_class.oid = relation
            where pid = pg_backend_pid() and relname ~ '^(finished_jobs|attempts)_[0-9]{8}$'`,
        );
        return [job, rows[0]!.met];
      });

    for (const day of [0, 1, 50, 100, 150, days - 2, days - 1]) {
      const [job, met] = await look(1000 * day + 1);
      expect(job, `of the day ${age(day)} days ago`).toMatchObject({
        state: "completed",
        payload: { here: true },
        attempts: [{ ending: "error", attempt: 1 }],
      });
      expect(met, `days that were read for a job ${age(day)} days old`).toBeLessThan(40);
    }
    const [late, metForLate] = await look(1000 * 120 + jobsPerDay - 30_000 + 500);
    expect(late).toMatchObject({ state: "completed", attempts: [] });
    expect(metForLate, "days that were read for a job that waited for 30 days").toBeLessThan(150);

    const [shown] = await look(50_001, { withPayload: false });
    expect(shown).toMatchObject({ payload: null, state: "completed" });
    expect((await look(50_900))[0]).toBeUndefined();
    expect((await look(9_000_000))[0]).toBeUndefined();

    await db.pool.query(
      `insert into hark.dead_jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, run_at, created_at, reason,
                                   error, started_at, finished_at)
       select 5000000, 'long', 'test.plain', '{}', 0, 3, 3, 0, at, at, 'unrecoverable', 'as told', at, at
         from (select now() - interval '90 days' as at) buried`,
    );
    const [dead, metForDead] = await look(5_000_000);
    expect(dead).toMatchObject({ state: "dead", reason: "unrecoverable" });
    expect(metForDead, "days that were read for a dead letter").toBeLessThan(10);
  },
);
