import type { PlannedKind } from "../campaign/schedule.ts";

/** A change of the product's source, from the root; `from` stands there exactly once. */
export interface Edit {
  file: string;
  from: string;
  to: string;
}

/** A build of Hark from which one guard was taken out, and the campaign that must notice. */
export interface Build {
  name: string;
  /** What it does wrong. */
  does: string;
  edits: Edit[];
  /** Invariants of which at least one must be broken. */
  breaks: string[];
  /** The faults that bring it to light; all if not given. */
  only?: PlannedKind[];
  minutes?: number;
  jobsPerSecond?: number;
}

const statements = "packages/core/src/statements";
const moves = "drizzle/0001_moves.sql";

export const builds: readonly Build[] = [
  {
    name: "settle-without-token",
    does: "settles a job whoever owns it by now",
    edits: [
      {
        file: `${statements}/complete-jobs.ts`,
        from: "and token = ($${first + 1}::uuid[])[width_bucket(id, $${first}::bigint[])]",
        to: "and ($${first + 1}::uuid[]) is not null",
      },
    ],
    breaks: ["S6", "S5"],
    only: ["stop"],
    minutes: 0.5,
    jobsPerSecond: 40,
  },
  {
    name: "token-of-the-worker",
    does: "uses the worker's name for the token of each of its claims",
    edits: [
      {
        file: "packages/worker/src/claimer.ts",
        from: "const token = randomUUID();",
        to: "const token = randomUUID() && worker;",
      },
    ],
    breaks: ["S5"],
    only: ["cut"],
  },
  {
    name: "long-taken-for-dead",
    does: "takes back jobs that run for a second, though their worker lives",
    edits: [
      {
        file: `${statements}/rescue-jobs.ts`,
        from: "not exists (select from hark.workers where workers.id = job.worker and dead_at is null)",
        to: "job.started_at < clock_timestamp() - interval '1 s'",
      },
    ],
    breaks: ["S7"],
    only: ["cut"],
  },
  {
    name: "declared-dead-too-early",
    does: "declares a worker dead whose lease has two seconds left",
    edits: [
      {
        file: `${statements}/worker-leases.ts`,
        from: "where dead_at is null and expires_at < clock_timestamp() order by id for update",
        to: "where dead_at is null and expires_at < clock_timestamp() + interval '2500 ms' order by id for update",
      },
      {
        file: `${statements}/worker-leases.ts`,
        from: "extract(epoch from min(expires_at) - clock_timestamp())",
        to: "extract(epoch from min(expires_at) - interval '2500 ms' - clock_timestamp())",
      },
    ],
    breaks: ["S4"],
    only: ["kill"],
  },
  {
    name: "lease-never-renewed",
    does: "believes that its lease is renewed, and renews nothing",
    edits: [
      {
        file: "packages/worker/src/lease-renewal.ts",
        from: "const [renewed] = answer;",
        to: "const renewed = { peers: {} };",
      },
      {
        file: "packages/worker/src/lease-renewal.ts",
        from: "return renewLease(await connect(), { id: identity, leaseMs });",
        to: "return renewLease(await connect(), { id: identity && randomUUID(), leaseMs });",
      },
    ],
    breaks: ["S7"],
    only: ["cut"],
  },
  {
    name: "lease-of-the-event-loop",
    does: "stops renewing when a handler keeps the event loop busy for two seconds",
    edits: [
      {
        file: "packages/worker/src/lease-thread.ts",
        from: "const mostSilentChecks = 60;",
        to: "const mostSilentChecks = 2;",
      },
    ],
    breaks: ["S7", "P1"],
    only: ["block"],
  },
  {
    name: "lost-lease-not-told",
    does: "tells no handler that its lease is lost",
    edits: [{ file: "packages/worker/src/worker.ts", from: `executor.abortAll("lease lost");`, to: "" }],
    breaks: ["A1"],
    only: ["hole"],
    minutes: 0.5,
    jobsPerSecond: 40,
  },
  {
    name: "complete-in-unfenced",
    does: "lets a handler commit its transaction though another worker owns the job",
    edits: [
      {
        file: "packages/worker/src/attempt.ts",
        from: "if (moved.length === 0) throw new LeaseLostError(this.job);",
        to: "if (moved.length < 0) throw new LeaseLostError(this.job);",
      },
    ],
    breaks: ["S13"],
    only: ["stop"],
    minutes: 0.6,
    jobsPerSecond: 80,
  },
  {
    name: "fence-not-checked",
    does: "lets every former holder of a lock write",
    edits: [
      {
        file: "packages/core/src/locks.ts",
        from: "`select true from hark.locks where key = $1 and token = $2 and expires_at > clock_timestamp() for share`",
        to: "`select true where $1::text <> $2::text`",
      },
    ],
    breaks: ["S14"],
    only: ["stop"],
  },
  {
    name: "fence-stands-still",
    does: "gives every holder of a lock the same fence",
    edits: [
      {
        file: moves,
        from: "| nextval('hark.fence_numbers');",
        to: "| (SELECT last_value FROM hark.fence_numbers);",
      },
    ],
    breaks: ["S5f"],
    only: ["cut"],
  },
  {
    name: "fence-of-one-timeline",
    does: "gives fences that do not know of promotions",
    edits: [
      {
        file: moves,
        from: "(('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint << 40)",
        to: "(1::bigint << 40)",
      },
    ],
    breaks: ["S5f"],
    only: ["promote"],
  },
  {
    name: "claim-keeps-rows",
    does: "leaves one claimed job in 500 among those that wait",
    edits: [
      {
        file: `${statements}/claim-jobs.ts`,
        from: "gone as (delete from hark.jobs where id = any (array(select id from claimed)))",
        // Only in its first second: it runs again and again for as long.
        to: `gone as (delete from hark.jobs where id = any (array(select id from claimed))
               and (id % 500 <> 7 or created_at < clock_timestamp() - interval '1 second'))`,
      },
    ],
    breaks: ["S3"],
    only: ["cut"],
  },
  {
    name: "claim-waits-for-locks",
    does: "claims without SKIP LOCKED",
    edits: [{ file: `${statements}/claim-jobs.ts`, from: "for update skip locked),", to: "for update)," }],
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
  {
    name: "acknowledged-before-commit",
    does: "answers enqueue() a tenth of a second before its insert commits",
    edits: [
      {
        file: "packages/producer/src/coalescer.ts",
        from: "    if (job.uniqueKey !== undefined) return (await insert(this.#executor, [job]))[0]!;\n",
        to: `    if (job.uniqueKey !== undefined) return (await insert(this.#executor, [job]))[0]!;
    const db = this.#executor as unknown as { transaction?: (work: (tx: Executor) => Promise<void>) => Promise<void> };
    if (db.transaction) {
      return new Promise((resolve, reject) => {
        void db.transaction!(async (tx) => {
          resolve((await insert(tx, [job]))[0]!);
          await new Promise((done) => setTimeout(done, 100));
        }).catch(reject);
      });
    }
`,
      },
    ],
    breaks: ["S1"],
    only: ["kill", "cut", "backends", "crash"],
  },
  {
    name: "outcome-dropped",
    does: "gives up writing an outcome when the connection breaks, though the handler has returned",
    edits: [
      {
        file: "packages/worker/src/settler.ts",
        from: "        await sleep(backoffMs(afterFailure, failures), { signal: this.#giveUp.signal });\n",
        to: `        await sleep(backoffMs(afterFailure, failures), { signal: this.#giveUp.signal });
        for (const { done } of entries) done("refused");
        return;
`,
      },
    ],
    breaks: ["S7", "L1"],
    only: ["cut", "backends", "crash"],
    jobsPerSecond: 80,
  },
  {
    name: "unanswered-claims-kept",
    does: "keeps jobs for ever whose claim was committed and never answered",
    edits: [
      {
        file: "packages/worker/src/upkeep/forgotten-claims.ts",
        from: "if (forgotten.length === 0) return;",
        to: "if (forgotten.length >= 0) return;",
      },
    ],
    breaks: ["L1", "L3"],
    only: ["cut at commit"],
    jobsPerSecond: 40,
  },
  {
    name: "deaf-after-reconnect",
    does: "does not look for what it missed when its listener comes back",
    edits: [
      {
        file: "packages/worker/src/listener.ts",
        from: "for (const subscriptions of this.#subscriptions.values()) this.#tell(subscriptions, undefined);",
        to: "for (const subscriptions of [...this.#subscriptions.values()].slice(0, 0)) this.#tell(subscriptions, undefined);",
      },
      {
        file: "packages/worker/src/worker.ts",
        from: "      onListening: () => this.#wakeClaimers(),\n",
        to: "",
      },
    ],
    breaks: ["L3"],
    only: ["listener cut", "listener hole"],
  },
  {
    name: "nobody-is-told",
    does: "never notifies a worker that sleeps",
    edits: [{ file: moves, from: "ELSE true END;", to: "ELSE false END;" }],
    breaks: ["L2", "L3"],
    only: ["cut"],
  },
];

/** The build as it is: in the same way, it must break nothing. */
export const control: Build = { name: "none", does: "nothing wrong", edits: [], breaks: [] };
