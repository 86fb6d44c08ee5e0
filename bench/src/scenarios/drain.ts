import { nowMs } from "../clock.ts";
import type { Run } from "../run.ts";
import type { Scenario } from "../scenario.ts";

/** When a slow adapter is cut, in ms. Its rate is known by then. */
const limitMs = 5_000;
const quickLimitMs = 4_000;

const metrics = [
  { key: "perSecond", label: "drained", unit: "jobs/s" },
  { key: "workerCpuMicros", label: "CPU of the workers", unit: "us/job" },
];

/**
 * Preloaded jobs that do nothing, from the start of the workers until the last job is recorded as
 * completed.
 */
async function drain(run: Run, workers: number, isAnalysed: boolean): Promise<Record<string, number>> {
  const jobs = run.isQuick ? 50_000 : 200_000;
  await run.loadWorkers(workers);
  if (isAnalysed) await run.load(0, jobs);
  else {
    await run.settleServer(); // so the planner's statistics show an empty table
    await run.load(0, jobs);
  }
  await run.settleServer({ isAnalysed });
  const startedAt = nowMs();
  const [isComplete] = await Promise.all([
    run.untilHandled(jobs, run.isQuick ? quickLimitMs : limitMs),
    run.startWorkers({ capacity: jobs }),
  ]);
  const elapsedMs = nowMs() - startedAt;
  const { handled, cpuMicros } = await run.tally({ jobs: isComplete ? jobs : 0 });
  return { perSecond: handled / (elapsedMs / 1_000), workerCpuMicros: cpuMicros / handled };
}

/** Adapters with defaults, the ceiling and the slowest are compared once, in the first of them. */
const fits: NonNullable<Scenario["fits"]> = ({ isDefault, isCeiling, isSlow }) => !isDefault && !isCeiling && !isSlow;

export const drains: readonly Scenario[] = [
  { name: "drain:1", title: "Drain, one worker process", metrics, measure: (run) => drain(run, 1, true) },
  {
    name: "drain:2",
    title: "Drain, two worker processes",
    metrics,
    rounds: 1,
    fits,
    measure: (run) => drain(run, 2, true),
  },
  {
    name: "drain:stale",
    title: "Drain with stale statistics: the planner knows an empty table",
    metrics,
    fits: (adapter) => fits(adapter) && adapter.store === "postgresql",
    async arrange(server) {
      await server.admin("alter system set autovacuum = off");
      await server.admin("select pg_reload_conf()");
      return async () => {
        await server.admin("alter system reset autovacuum");
        await server.admin("select pg_reload_conf()");
      };
    },
    measure: (run) => drain(run, 1, false),
  },
];
