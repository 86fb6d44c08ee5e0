import { randomUUID } from "node:crypto";
import type { Lock } from "@hark/core";
import type { statements } from "@hark/core/internal";
import { type Build, exported, method, statement } from "../build.ts";
import { sinceMainThreadMs } from "./main-thread.ts";

type ClaimJobs = typeof statements.claimJobs;

/** Builds that mistake who owns a job, a lease or a lock. */
export const ownerBuilds: readonly Build[] = [
  {
    name: "settle-without-token",
    does: "settles a job even if another worker owns it by now",
    seams: [
      statement<statements.Completions, unknown>(/^(complete|settle)-/, (original) => async (db, request) => {
        const { rows } = await db.query({
          text: `select array_agg(coalesce(running.token, own.token) order by place)::text as tokens
                   from unnest($1::bigint[], $2::uuid[]) with ordinality own (id, token, place)
                   left join hark.running_jobs running using (id)`,
          values: [request.ids, request.tokens],
        });
        return original(db, { ...request, tokens: rows[0]!["tokens"] as string });
      }),
    ],
    breaks: ["S6", "S5"],
    only: ["stop"],
    minutes: 0.5,
    jobsPerSecond: 40,
  },
  {
    name: "token-of-the-worker",
    does: "uses the worker's id as the token of each of its claims",
    seams: [
      exported<ClaimJobs>(
        "core",
        "claimJobs",
        (original) =>
          (db, request, ...rest) =>
            original(db, { ...request, token: request.worker }, ...rest),
      ),
    ],
    breaks: ["S5"],
    only: ["cut"],
  },
  {
    name: "long-taken-for-dead",
    does: "rescues jobs that run for a second although their worker lives",
    seams: [
      statement("survey-leases", (original) => async (db, request) => {
        await db.query({
          text: "update hark.running_jobs set worker = $1 where started_at < clock_timestamp() - interval '1 s'",
          values: [randomUUID()],
        });
        return original(db, request);
      }),
    ],
    breaks: ["S7"],
    only: ["cut"],
  },
  {
    name: "declared-dead-too-early",
    does: "declares a worker dead two seconds before its lease runs out",
    seams: [
      statement("certify-deaths", () => async (db) => {
        const { rows } = await db.query({
          text: `update hark.workers set dead_at = clock_timestamp()
                  where dead_at is null and expires_at < clock_timestamp() + interval '2500 ms' returning id, name`,
          values: [],
        });
        return rows;
      }),
      statement<unknown, statements.Survey>("survey-leases", (original) => async (db, request) => {
        const [survey] = await original(db, request);
        const { nextExpiryMs } = survey!;
        return [{ ...survey!, nextExpiryMs: nextExpiryMs === undefined ? undefined : nextExpiryMs - 2_500 }];
      }),
      statement<unknown, statements.Renewal>("renew-lease", (original) => async (db, request) => {
        const renewals = await original(db, request);
        return renewals.map(({ othersExpireInMs, ...renewal }) => ({
          ...renewal,
          othersExpireInMs: othersExpireInMs === undefined ? undefined : othersExpireInMs - 2_500,
        }));
      }),
    ],
    breaks: ["S4"],
    only: ["kill"],
  },
  {
    name: "lease-never-renewed",
    does: "believes that its lease is renewed, but does not renew it",
    seams: [
      statement<unknown, Partial<statements.Renewal>>("renew-lease", () => async () => [{ notificationQueueUsage: 0 }]),
    ],
    breaks: ["S7"],
    only: ["cut"],
  },
  {
    name: "lease-of-the-event-loop",
    does: "kills a process whose event loop is busy for two seconds",
    seams: [
      statement("renew-lease", (original) => async (db, request) => {
        if (sinceMainThreadMs() > 2_000) process.kill(process.pid, "SIGKILL");
        return original(db, request);
      }),
    ],
    breaks: ["S7", "P1"],
    only: ["block"],
  },
  {
    name: "lost-lease-not-told",
    does: "does not abort handlers when the lease is lost",
    seams: [
      method<(reason: { code: string }) => void>("worker", "Attempt.abort", (original) => {
        return function abort(this: object, reason) {
          if (reason.code !== "LEASE_LOST") original.call(this, reason);
        };
      }),
    ],
    breaks: ["A1"],
    only: ["hole", "hole up"],
    minutes: 3,
    leaseMs: 6_000, // the longest jobs must outlive the lost lease and the time to notice; with 3 s hardly one did
  },
  {
    name: "complete-in-unfenced",
    does: "lets a handler commit its transaction though another worker owns the job",
    seams: [
      method<(...given: unknown[]) => Promise<void>>("worker", "Attempt.completeIn", (original) => {
        return async function completeIn(this: object, ...given) {
          await original.apply(this, given).catch((error: unknown) => {
            if ((error as { code?: string }).code !== "LEASE_LOST") throw error;
          });
        };
      }),
    ],
    breaks: ["S13"],
    only: ["stop"],
    minutes: 1.2, // a transaction has to be open when its process is stopped
    jobsPerSecond: 80,
  },
  {
    name: "fence-not-checked",
    does: "lets every former holder of a lock write",
    seams: [statement<unknown, Awaited<ReturnType<Lock["renew"]>> | true>("guard-lock", () => async () => [true])],
    breaks: ["S14"],
    only: ["stop"],
  },
  {
    name: "fence-stands-still",
    does: "gives every holder of a lock the same fence",
    seams: [{ database: "alter sequence hark.fence_numbers increment by 2 minvalue 1 maxvalue 2 restart cycle" }],
    breaks: ["S5f"],
    only: ["cut"],
  },
  {
    name: "fence-of-one-timeline",
    does: "gives fences that ignore promotions",
    seams: [
      {
        database: `create function sabotage.pg_walfile_name(pg_lsn) returns text language sql as
                   $$ select '00000001' || substr(pg_catalog.pg_walfile_name($1), 9) $$;
                   alter function hark.next_fence(text) set search_path = sabotage, pg_catalog, hark, pg_temp`,
      },
    ],
    breaks: ["S5f"],
    only: ["promote"],
  },
];
