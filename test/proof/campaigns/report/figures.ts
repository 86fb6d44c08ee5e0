import { timelineOf } from "../checker/fences.ts";
import { probesOf, rescuesOf, waitOf } from "../checker/liveness.ts";
import { percentile } from "../checker/percentile.ts";
import { type History, Study } from "../checker/study.ts";
import { undoneRuns } from "../checker/undone.ts";

/** A campaign in numbers. Times in ms. */
export interface Figures {
  /** Enqueues that were acknowledged, probes included. */
  acknowledged: number;
  /** Enqueues without an answer. Each job may be there or not. */
  unanswered: number;
  runs: number;
  /**
   * Runs of a job after its first, by how the run before ended: the ending in the database, or
   * "undone" by a crash.
   */
  explained: Record<string, number>;
  faults: Record<string, number>;
  /**
   * The longest that a due job waited for a worker, by the worker's last disturbance, or "nothing".
   */
  worstWaitMs: Record<string, number>;
  /** From a worker's end until the last of its jobs was rescued. 0 if there were none. */
  worstRescueMs: number;
  /** From due to start, when no other jobs ran. */
  quiet: { probes: number; p50Ms: number; p99Ms: number };
  /** Grants of locks, and on how many timelines: two after a promotion. */
  grants: number;
  timelines: number;
  /** How long a new session took on this machine, without Hark. */
  session: { p50Ms: number; p99Ms: number };
}

export function figuresOf(history: History): Figures {
  const study = new Study(history);
  const runs = study.of("started").length;
  const explained: Record<string, number> = {};
  for (const claims of study.claims.values()) {
    for (const { ending } of claims.slice(0, -1)) explained[ending] = (explained[ending] ?? 0) + 1;
  }
  const undone = undoneRuns(study).size;
  if (undone > 0) explained["undone"] = undone;
  const probes = probesOf(study);
  const worstWaitMs: Record<string, number> = {};
  for (const probe of probes) {
    const { waitedMs, after = "nothing" } = waitOf(study, probe);
    worstWaitMs[after] = Math.max(worstWaitMs[after] ?? 0, Math.round(waitedMs));
  }
  const quietAt = study.momentOf("quiet");
  const waits = probes
    .filter(({ dueAt }) => dueAt >= quietAt)
    .map(({ dueAt, startedAt }) => Math.round(startedAt - dueAt));
  const pace = study.of("paced").map(({ ms }) => ms);
  return {
    acknowledged: study.of("enqueued").filter(({ status }) => status === "inserted").length,
    unanswered: study.of("unknown").length,
    runs,
    explained,
    faults: countsOf(study.of("fault").map(({ kind }) => kind)),
    worstWaitMs,
    worstRescueMs: Math.round(Math.max(0, ...rescuesOf(study).map(({ tookMs }) => tookMs))),
    quiet: { probes: waits.length, p50Ms: percentile(waits, 0.5), p99Ms: percentile(waits, 0.99) },
    grants: study.of("granted").length,
    timelines: new Set(study.of("granted").map(({ fence }) => timelineOf(fence))).size,
    session: { p50Ms: percentile(pace, 0.5), p99Ms: percentile(pace, 0.99) },
  };
}

function countsOf(words: string[]): Record<string, number> {
  return Object.fromEntries([...Map.groupBy(words, (word) => word)].map(([word, all]) => [word, all.length]));
}

/** The figures in one line. */
export function lineOf(figures: Figures): string {
  const { acknowledged, unanswered, runs, explained, faults, worstWaitMs, worstRescueMs, quiet, grants } = figures;
  const { timelines, session } = figures;
  const list = (counts: Record<string, number>, unit = "") =>
    Object.entries(counts)
      .toSorted(([, one], [, other]) => other - one)
      .map(([word, count]) => `${word} ${count}${unit}`)
      .join(", ") || "none";
  const total = Object.values(faults).reduce((sum, count) => sum + count, 0);
  return [
    `${acknowledged} jobs acknowledged (${unanswered} unanswered), ${runs} runs`,
    `explained reruns: ${list(explained)}`,
    `${total} faults: ${list(faults)}`,
    `worst wait after: ${list(worstWaitMs, " ms")}`,
    `worst rescue ${worstRescueMs} ms`,
    `wake-up p50 ${quiet.p50Ms} ms, p99 ${quiet.p99Ms} ms of ${quiet.probes}`,
    `${grants} locks granted on ${timelines} timelines`,
    `a session took p50 ${session.p50Ms} ms, p99 ${session.p99Ms} ms`,
  ].join("; ");
}
