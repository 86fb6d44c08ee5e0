import type { decideOutcome, statements } from "@hark/core/internal";
import { type Build, exported, statement } from "../build.ts";

/** Builds that move or count a job wrongly. */
export const moveBuilds: readonly Build[] = [
  {
    name: "claim-keeps-rows",
    does: "leaves one claimed job in 500 among the waiting jobs",
    seams: [
      {
        // Only in the job's first second, since it runs again and again.
        database: `
          create function sabotage.keep_row() returns trigger language plpgsql as $$
          begin
            insert into hark.jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key,
                                   run_at, created_at, state)
            values (new.id, new.queue, new.type, new.payload, new.priority, new.attempt - 1, new.max_attempts,
                    new.crash_count, new.key, new.unique_key, new.run_at, new.created_at, 'ready');
            return null;
          end $$;
          create trigger sabotage_keep_row after insert on hark.running_jobs for each row
            when (new.id % 500 = 7 and new.created_at > clock_timestamp() - interval '1 second')
            execute function sabotage.keep_row()`,
      },
    ],
    breaks: ["S3"],
    only: ["cut"],
  },
  {
    name: "claim-waits-for-locks",
    does: "claims without SKIP LOCKED",
    seams: [{ statement: /\bclaim\b/, sql: (text) => text.replaceAll(/\bskip\s+locked\b/gi, "") }],
    breaks: ["L3"],
    only: ["lock row"],
  },
  {
    name: "keys-not-kept-apart",
    does: "runs jobs of one key at once: each has its own queue while it runs",
    seams: [
      {
        database: `
          create function sabotage.hide_key() returns trigger language plpgsql as
            $$ begin new.queue := new.queue || '#' || new.id; return new; end $$;
          create function sabotage.show_key() returns trigger language plpgsql as
            $$ begin new.queue := split_part(new.queue, '#', 1); return new; end $$;
          create trigger sabotage_hide_key before insert on hark.running_jobs
            for each row when (new.key is not null) execute function sabotage.hide_key();
          create trigger sabotage_show_key before insert on hark.jobs
            for each row when (new.key is not null) execute function sabotage.show_key();
          create trigger sabotage_show_key before insert on hark.finished_jobs
            for each row when (new.key is not null) execute function sabotage.show_key();
          create trigger sabotage_show_key before insert on hark.dead_jobs
            for each row when (new.key is not null) execute function sabotage.show_key()`,
      },
    ],
    breaks: ["S12k"],
    only: ["cut"],
  },
  {
    name: "no-hand-off",
    does: "leaves the jobs of a key parked when the key is freed",
    seams: [
      {
        // No running job knows that it is to hand on: neither its end nor the claim of the next
        // does.
        database: `
          create function sabotage.keep_key() returns trigger language plpgsql as
            $$ begin new.hands_off := false; return new; end $$;
          create trigger sabotage_keep_key before insert or update on hark.running_jobs
            for each row when (new.hands_off) execute function sabotage.keep_key()`,
      },
    ],
    breaks: ["L1"],
    only: ["cut"],
    // Upkeep frees one job of each key a minute. With several parked jobs of a key it cannot make
    // up for this in time.
    minutes: 0.5,
    jobsPerSecond: 60,
  },
  {
    name: "retry-loses-the-key",
    does: "forgets the key of a retried job",
    seams: [
      {
        database: `
          create function sabotage.lose_key() returns trigger language plpgsql as
            $$ begin new.key := null; return new; end $$;
          create trigger sabotage_lose_key before insert on hark.jobs
            for each row when (new.attempt > 0) execute function sabotage.lose_key()`,
      },
    ],
    breaks: ["S1"],
    only: ["cut"],
  },
  {
    name: "retry-forgets-attempts",
    does: "counts the attempts of a failed job from 0 again",
    seams: [
      exported<typeof statements.retriedOf>(
        "core",
        "retriedOf",
        (original) => (jobs) => original(jobs.map((job) => ({ ...job, attempt: 0 }))),
      ),
    ],
    breaks: ["S9", "L1"],
    only: ["cut"],
  },
  {
    name: "release-burns-an-attempt",
    does: "counts an attempt that was handed back when its worker stopped",
    seams: [
      exported<typeof decideOutcome>("core", "decideOutcome", (original) => (tried, ending, ...rest) => {
        const outcome = original(tried, ending, ...rest);
        return ending.kind === "interrupted" ? { ...outcome, attempt: tried.attempt } : outcome;
      }),
    ],
    breaks: ["S9"],
    only: ["terminate"],
  },
  {
    name: "crash-not-counted",
    does: "does not count how many workers a job crashed",
    seams: [
      {
        database: `
          create function sabotage.forget_crashes() returns trigger language plpgsql as
            $$ begin new.crash_count := 0; return new; end $$;
          create trigger sabotage_forget_crashes before insert on hark.jobs
            for each row when (new.crash_count > 0) execute function sabotage.forget_crashes()`,
      },
    ],
    breaks: ["S9"],
    only: ["kill", "poison"],
  },
  {
    name: "promotes-early",
    does: "makes scheduled jobs ready ten seconds before they are due",
    seams: [
      statement("promote-jobs", (original) => async (db, request) => {
        await db.query({
          text: `update hark.jobs set state = 'ready', run_at = clock_timestamp() where id in (
                   select id from hark.jobs
                    where state = 'scheduled' and run_at <= clock_timestamp() + interval '10 s' for update skip locked)`,
          values: [],
        });
        return original(db, request);
      }),
    ],
    breaks: ["S10"],
    only: ["cut"],
  },
  {
    name: "unique-key-ignored",
    does: "inserts a second job under a unique key that is taken",
    seams: [{ database: "alter table hark.unique_keys drop constraint unique_keys_queue_unique_key_pk" }],
    breaks: ["S12u"],
    only: ["cut"],
  },
  {
    name: "unique-key-kept",
    does: "lets a finished job keep its unique key",
    seams: [
      {
        database: `drop trigger finished_jobs_free_unique_key on hark.finished_jobs;
                   drop trigger dead_jobs_free_unique_key on hark.dead_jobs`,
      },
    ],
    breaks: ["S12u"],
    only: ["cut"],
  },
  {
    name: "cancel-leaves-it-running",
    does: "cancels a running job without taking it from its worker",
    seams: [
      statement<{ id: bigint }, { wasIn: string }>("cancel-job", (original) => async (db, request) => {
        const { rows } = await db.query({
          text: "select to_jsonb(running_jobs) as job from hark.running_jobs where id = $1",
          values: [request.id],
        });
        const cancelled = await original(db, request);
        if (rows.length > 0 && cancelled[0]?.wasIn === "running")
          await db.query({
            text: "insert into hark.running_jobs select (jsonb_populate_record(null::hark.running_jobs, $1)).*",
            values: [rows[0]!["job"]],
          });
        return cancelled;
      }),
    ],
    breaks: ["S3", "S7"],
    only: ["cut"],
    jobsPerSecond: 40,
  },
];
