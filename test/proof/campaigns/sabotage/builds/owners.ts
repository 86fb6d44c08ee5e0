import { type Build, moves, statements } from "../build.ts";

/** Builds that mistake who owns a job, a lease or a lock. */
export const ownerBuilds: readonly Build[] = [
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
        file: "packages/worker/src/claim/claimer.ts",
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
        file: "packages/worker/src/lease/lease-renewal.ts",
        from: "const [renewed] = answer;",
        to: "const renewed = { peers: {} };",
      },
      {
        file: "packages/worker/src/lease/lease-renewal.ts",
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
        file: "packages/worker/src/lease/lease-thread.ts",
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
    only: ["hole", "hole up"],
    minutes: 3,
    leaseMs: 6_000, // so that the longest jobs run on after it is lost and its news are due: with 3 s hardly one did
  },
  {
    name: "complete-in-unfenced",
    does: "lets a handler commit its transaction though another worker owns the job",
    edits: [
      {
        file: "packages/worker/src/run/attempt.ts",
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
];
