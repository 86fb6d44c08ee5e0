import { openClient } from "../pool.ts";
import type { Run } from "../run.ts";
import type { Scenario } from "../scenario.ts";
import { flow, flowFigures, flowMetrics, warmUp, warmUpRoom } from "./flow.ts";

/** More than any adapter handles in the time. */
const mostJobs = 1_500_000;

/** Jobs flow while a session stays inside the transaction that these statements began. */
async function pinned(run: Run, statements: readonly string[]): Promise<Record<string, number>> {
  await run.loadWorkers(1);
  await run.startWorkers({ capacity: warmUpRoom + mostJobs });
  const from = await warmUp(run);
  await run.settleServer({ isAnalysed: false });
  const session = await openClient(run.url);
  try {
    for (const statement of statements) await session.query(statement);
    const { samples, sent, isComplete } = await flow(run, {
      from,
      jobs: mostJobs,
      forMs: run.isQuick ? 6_000 : 12_000,
    });
    await run.tally({ jobs: isComplete ? from + sent : 0 });
    return flowFigures(samples);
  } finally {
    await session.end(); // this rolls back
  }
}

export const pins: readonly Scenario[] = [
  {
    name: "pinned:snapshot",
    title: "Enqueue and drain while a session holds an old snapshot",
    metrics: flowMetrics,
    rounds: 1, // its figure is a ratio within the run
    fits: ({ store, isCeiling, isDefault, isSlow }) => store === "postgresql" && !isCeiling && !isDefault && !isSlow,
    measure: (run) => pinned(run, ["begin isolation level repeatable read", "select count(*) from pg_class"]),
  },
  {
    name: "pinned:write",
    title: "Enqueue and drain while a session that inserted a job does not commit",
    metrics: flowMetrics,
    rounds: 1, // its figure is a ratio within the run
    fits: ({ sql, isCeiling, isDefault }) => sql?.insertOther !== undefined && !isCeiling && !isDefault,
    measure: (run) => pinned(run, ["begin", run.adapter.sql?.insertOther ?? ""]),
  },
];
