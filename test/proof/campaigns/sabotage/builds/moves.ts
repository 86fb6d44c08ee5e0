import { type Build, moves, statements } from "../build.ts";

/** Builds that move or count a job wrongly. */
export const moveBuilds: readonly Build[] = [
  {
    name: "claim-keeps-rows",
    does: "leaves one claimed job in 500 among those that wait",
    edits: [
      {
        file: `${statements}/claim-jobs.ts`,
        from: "union all select id from keyed))),",
        // Only in its first second: it runs again and again for as long.
        to: `union all select id from keyed))
               and (id % 500 <> 7 or created_at < clock_timestamp() - interval '1 second')),`,
      },
      {
        file: `${statements}/claim-jobs.ts`,
        from: `gone as (
     delete from hark.jobs where id = any (array(select id from next where (select are_plain from found)))
     returning *),`,
        to: `gone as (
     select * from hark.jobs where id = any (array(select id from next where (select are_plain from found)))),
   deleted as (
     delete from hark.jobs where id = any (array(select id from gone))
        and (id % 500 <> 7 or created_at < clock_timestamp() - interval '1 second')),`,
      },
    ],
    breaks: ["S3"],
    only: ["cut"],
  },
  {
    name: "claim-waits-for-locks",
    does: "claims without SKIP LOCKED",
    edits: [{ file: `${statements}/claim-jobs.ts`, from: "for update skip locked)`;", to: "for update)`;" }],
    breaks: ["L3"],
    only: ["lock row"],
  },
  {
    name: "keys-not-kept-apart",
    does: "runs jobs of one key at once",
    edits: [
      {
        file: "drizzle/0000_tables.sql",
        from: `CREATE UNIQUE INDEX "running_jobs_key"`,
        to: `CREATE INDEX "running_jobs_key"`,
      },
      {
        file: `${statements}/claim-jobs.ts`,
        from: "     on conflict (queue, key) where key is not null do nothing\n",
        to: "",
      },
      {
        file: `${statements}/claim-jobs.ts`,
        from: `
        and (key is null or not exists (
          select from hark.running_jobs held where held.queue = jobs.queue and held.key = jobs.key))`,
        to: "",
      },
    ],
    breaks: ["S12k"],
    only: ["cut"],
  },
  {
    name: "no-hand-off",
    does: "leaves the jobs of a key parked when the key comes free",
    edits: [
      {
        file: moves,
        from: "key = OLD.key AND state = 'parked'",
        to: "key = OLD.key AND state = 'nowhere'",
      },
    ],
    breaks: ["L1"],
    only: ["cut"],
    // Upkeep frees one job of each key in a minute: with several of each parked it cannot make up for this in time.
    minutes: 0.5,
    jobsPerSecond: 60,
  },
  {
    name: "retry-loses-the-key",
    does: "forgets the key of a job that is tried again",
    edits: [
      {
        file: `${statements}/retry-jobs.ts`,
        from: "counted_attempt, max_attempts, crash_count, key, unique_key,",
        to: "counted_attempt, max_attempts, crash_count, null, unique_key,",
      },
    ],
    breaks: ["S1"],
    only: ["cut"],
  },
  {
    name: "retry-forgets-attempts",
    does: "counts the attempts of a failed job from the beginning again",
    edits: [{ file: `${statements}/retry-jobs.ts`, from: "priority, counted_attempt, max", to: "priority, 0, max" }],
    breaks: ["S9", "L1"],
    only: ["cut"],
  },
  {
    name: "release-burns-an-attempt",
    does: "counts an attempt that was handed back when its worker stopped",
    edits: [
      {
        file: "packages/core/src/outcome.ts",
        from: "return again(ending.kind, 0, tried.attempt - 1, null);",
        to: "return again(ending.kind, 0, tried.attempt, null);",
      },
    ],
    breaks: ["S9"],
    only: ["terminate"],
  },
  {
    name: "crash-not-counted",
    does: "does not count how many workers a job took along",
    edits: [
      {
        file: `${statements}/rescue-jobs.ts`,
        from: "returning *, crash_count + 1 as crashes,",
        to: "returning *, crash_count as crashes,",
      },
    ],
    breaks: ["S9"],
    only: ["kill", "poison"],
  },
  {
    name: "promotes-early",
    does: "makes scheduled jobs ready ten seconds before they are due",
    edits: [
      {
        file: `${statements}/promote-jobs.ts`,
        from: "run_at <= statement_timestamp()",
        to: "run_at <= statement_timestamp() + interval '10 s'",
      },
    ],
    breaks: ["S10"],
    only: ["cut"],
  },
  {
    name: "unique-key-ignored",
    does: "inserts a second job under a unique key that is taken",
    edits: [{ file: moves, from: "EXIT WHEN FOUND;", to: "EXIT;" }],
    breaks: ["S12u"],
    only: ["cut"],
  },
  {
    name: "unique-key-kept",
    does: "leaves its unique key with a job that has finished",
    edits: [
      {
        file: moves,
        from: "AND unique_key = NEW.unique_key AND job_id = NEW.id;",
        to: "AND unique_key = NEW.unique_key AND job_id = NEW.id AND false;",
      },
    ],
    breaks: ["S12u"],
    only: ["cut"],
  },
  {
    name: "cancel-leaves-it-running",
    does: "cancels a running job without taking it from its worker",
    edits: [
      {
        file: `${statements}/cancel-job.ts`,
        from: "running as (delete from hark.running_jobs where id = $1 returning *)",
        to: "running as (select * from hark.running_jobs where id = $1)",
      },
    ],
    breaks: ["S3", "S7"],
    only: ["cut"],
    jobsPerSecond: 40,
  },
];
