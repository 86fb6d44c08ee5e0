import type { Run } from "../run.ts";
import type { Scenario } from "../scenario.ts";
import { idle, percentiles } from "./latency.ts";

/** Jobs of a type that the worker does not run. They stand in front of all others. */
const others = 1_000_000;

/** One job at a time for an idle worker, behind a million that it may not take. */
async function behindOthers(run: Run): Promise<Record<string, number>> {
  await run.query(run.adapter.sql?.fillOther ?? "", [others]);
  await run.settleServer();
  return idle(run);
}

export const typesInFront: readonly Scenario[] = [
  {
    name: "types",
    title: "Start latency of an idle worker behind 1,000,000 ready jobs of a type that it does not run",
    metrics: percentiles,
    deadlineMs: 240_000,
    // Where a worker takes whatever its queue holds, types are queues, and none stands before
    // another.
    fits: ({ sql, isDefault, isCeiling }) => !isDefault && !isCeiling && sql?.fillOther !== undefined,
    measure: behindOthers,
  },
];
