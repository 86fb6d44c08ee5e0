import type { EntryOf } from "../ledger/entries.ts";
import type { Invariant } from "./invariant.ts";
import { percentile } from "./percentile.ts";
import { clockMs, type Disturbance, type Study } from "./study.ts";
import { undoneRuns } from "./undone.ts";

/** Invariants on progress: how soon jobs start and end once nothing stands in the way. */
export const livenessInvariants: Invariant[] = [
  {
    id: "L1",
    says: "once everything is healed every job ends in time",
    breaches(study) {
      const calmAt = study.momentOf("calm");
      const withinMs = study.promises.finalWithinMs + workLeftMs(study, calmAt);
      return study.final.jobs.flatMap(({ id, state, createdAt, finishedAt }) => {
        if (finishedAt === null) return [`job ${id} is still ${state} at the end`];
        const lateMs = finishedAt - Math.max(calmAt, createdAt) - withinMs;
        return lateMs > 0 ? [`job ${id} became final ${Math.round(lateMs)} ms too late`] : [];
      });
    },
  },
  {
    id: "L2",
    says: "when no other jobs run, a due job starts at once",
    breaches(study) {
      const quietAt = study.momentOf("quiet");
      const waits = probesOf(study).flatMap(({ dueAt, startedAt }) =>
        dueAt >= quietAt ? [startedAt - dueAt - study.slowestSession(dueAt, startedAt)] : [],
      );
      const p99 = percentile(waits, 0.99);
      return p99 > study.promises.quietMs
        ? [`of ${waits.length} probes the 99th of 100 waited ${Math.round(p99)} ms more than a session took`]
        : [];
    },
  },
  {
    id: "L3",
    says: "a worker starts due jobs soon after a disturbance is over",
    breaches(study) {
      const { share, byMs } = study.promises.stragglers;
      const probes = probesOf(study);
      const late = probes
        .map((probe) => ({ ...probe, ...waitOf(study, probe) }))
        .filter(({ waitedMs, allowedMs }) => waitedMs > allowedMs);
      const areFew = late.length <= probes.length * share;
      return late
        .filter(({ waitedMs, allowedMs }) => !areFew || waitedMs > allowedMs + byMs)
        .map(({ worker, id, waitedMs, after }) => {
          return `${worker}: job ${id} waited ${Math.round(waitedMs)} ms${after ? ` after ${after}` : ""}`;
        });
    },
  },
  {
    id: "L5",
    says: "the jobs of a worker that died are rescued when its lease has run out",
    breaches: (study) =>
      rescuesOf(study).flatMap(({ id, tookMs, isQuiet }) =>
        isQuiet && tookMs > study.promises.rescueMs
          ? [`job ${id} was rescued ${Math.round(tookMs)} ms after its worker's end`]
          : [],
      ),
  },
  {
    id: "L9",
    says: "no session is stuck, and the server logs no deadlock and no broken constraint",
    breaches: ({ final }) => [...final.stuckSessions, ...final.serverErrors],
  },
  {
    id: "P1",
    says: "no process ends by itself, and a process that is told to stop exits with 0",
    breaches: (study) =>
      study.of("exited").flatMap(({ name, code, by, pid, at }) => {
        const hasStarted = study.of("ready").some((ready) => ready.pid === pid);
        const isDisturbed = study
          .faultsOn(name)
          .some(({ kind, from, to }) => kind !== "terminate" && from < at && to + patienceMs > at);
        // A process that cannot reach the database when it starts says so, ends, and is started
        // again. A process that has started stays.
        if (by === undefined && !(isDisturbed && !hasStarted)) {
          const words = study.of("last words").find((last) => last.pid === pid)?.words;
          return [`${name} (${pid}) ended by itself: ${code}${words ? `. Its last output:\n${words}` : ""}`];
        }
        // A process that is told to stop while it starts has no handler for that yet. A process
        // that is cut off meanwhile may take longer than we wait.
        if (by === "SIGTERM" && code !== 0 && hasStarted && !isDisturbed)
          return [`${name} (${pid}) was told to stop, and ended with ${code}`];
        return [];
      }),
  },
];

/** Disturbances that keep all slots of a worker from other jobs. */
const takesAll = new Set<Disturbance>(["quarantine", "block", "down", "stall"]);

/**
 * The work left when the calm began, in ms of all workers together. Jobs that wait for long-running
 * others are not late. A run takes one slot, and a disturbance in `takesAll` takes all slots of its
 * worker.
 */
function workLeftMs(study: Study, calmAt: number): number {
  const workers = [...new Set(study.of("probed").map(({ worker }) => worker))];
  const endsAt = Math.min(study.momentOf("quiet"), study.momentOf("over"));
  const runs = study.of("started").map(({ id, token, at }) => ({
    from: at,
    to: study.ends.get(`${id} ${token}`)?.at ?? at,
  }));
  const runsMs = runs.reduce(
    (sum, { from, to }) => sum + Math.max(0, Math.min(to, endsAt) - Math.max(from, calmAt)),
    0,
  );
  let keptMs = 0;
  for (const worker of workers) {
    let until = calmAt;
    for (const { kind, from, to } of study.disturbancesOf(worker)) {
      if (!takesAll.has(kind)) continue;
      const end = Math.min(to, endsAt);
      keptMs += Math.max(0, end - Math.max(from, until));
      until = Math.max(until, end);
    }
  }
  return (runsMs / study.promises.slots + keptMs) / Math.max(workers.length, 1);
}

/**
 * How long a process that starts may wait for the database, or one that stops may take before it is
 * killed, in ms.
 */
const patienceMs = 20_000;

export interface Probe {
  id: string;
  worker: string;
  dueAt: number;
  /** Infinity if it never did. */
  startedAt: number;
}

export function probesOf(study: Study): Probe[] {
  const overAt = study.momentOf("over");
  const undone = undoneRuns(study); // these have to start again
  return study.of("probed").map(({ id, worker, dueAt }) => ({
    id,
    worker,
    dueAt,
    startedAt: study.starts.get(id)?.find((start) => !undone.has(start))?.at ?? overAt,
  }));
}

/** A disturbance that ended this long ago has no effect any more, in ms. */
const longestReachMs = 60_000;

/** How long a probe waited after nothing kept it from starting, and how long it may wait. */
export function waitOf(
  study: Study,
  { worker, dueAt, startedAt }: Probe,
): { waitedMs: number; allowedMs: number; after: Disturbance | undefined } {
  const { probeMs, recoveryMs, sessions } = study.promises;
  let from = dueAt;
  let disturbed = false;
  let longestMs = 0;
  let after: Disturbance | undefined;
  for (const { kind, from: begin, to } of study.disturbancesOf(worker)) {
    if (begin > startedAt || to + longestReachMs < dueAt) continue;
    const recoversMs = recoveryMs[kind] + sessions * study.slowestSession(to, to + recoveryMs[kind]);
    if (to + recoversMs < dueAt) continue;
    // The worker is disturbed until the last of them is over. Then it may take as long as the
    // slowest of them allows.
    from = Math.max(from, Math.min(to, startedAt));
    disturbed = true;
    if (recoveryMs[kind] > longestMs) [longestMs, after] = [recoveryMs[kind], kind];
  }
  const machineMs = sessions * study.slowestSession(from, startedAt);
  const allowedMs = (disturbed ? longestMs : probeMs) + machineMs;
  return { waitedMs: startedAt - from, allowedMs, after };
}

/**
 * Jobs rescued from processes that ended: how long that took, and whether an undisturbed worker was
 * there to do it.
 */
export function rescuesOf(study: Study): { id: string; tookMs: number; isQuiet: boolean }[] {
  const names = new Set(study.of("probed").map(({ worker }) => worker));
  const isFree = (name: string, from: number, to: number) =>
    !study.disturbancesOf(name).some((window) => window.from < to && window.to > from);
  return [...study.claims.values()].flat().flatMap(({ id, ending, worker, endedAt, startedAt }) => {
    const pid = worker === null ? undefined : study.workers.get(worker)?.pid;
    const exit: EntryOf<"exited"> | undefined = pid === undefined ? undefined : study.exitOf(pid);
    // Not a worker that lost its lease before its end.
    if (ending !== "crashed" || !exit || exit.at > endedAt + clockMs || exit.at < startedAt) return [];
    const isQuiet = [...names].some((name) => isFree(name, exit.at - study.promises.leaseMs, endedAt));
    return [{ id, tookMs: endedAt - exit.at, isQuiet }];
  });
}
