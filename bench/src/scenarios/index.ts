import type { Scenario } from "../scenario.ts";
import { backlogs } from "./backlog.ts";
import { delays } from "./delayed.ts";
import { drains } from "./drain.ts";
import { enqueues } from "./enqueue.ts";
import { idles } from "./idle.ts";
import { keyed } from "./keys.ts";
import { latencies } from "./latency.ts";
import { memories } from "./memory.ts";
import { mixes } from "./mixed.ts";
import { notifies } from "./notify.ts";
import { parkedBacklogs } from "./parked.ts";
import { pins } from "./pinned.ts";
import { scales } from "./scale.ts";
import { steadies } from "./steady.ts";
import { typesInFront } from "./types.ts";
import { wals } from "./wal.ts";

/**
 * The cost of idle workers is a count and takes long to measure. So it is measured once, for Hark
 * and its nearest peer.
 */
const countsOnce = (scenario: Scenario): Scenario => ({
  rounds: 1,
  ...scenario,
  fits: (adapter) => ["hark", "graphile-worker"].includes(adapter.name) && (scenario.fits?.(adapter) ?? true),
});

export const scenarios: readonly Scenario[] = [
  ...drains,
  ...keyed,
  ...parkedBacklogs,
  ...steadies,
  ...enqueues,
  ...latencies,
  ...typesInFront,
  ...notifies,
  ...pins,
  ...backlogs,
  ...mixes,
  ...delays,
  ...idles.map(countsOnce),
  ...wals,
  ...memories,
  ...scales,
];

/**
 * The scenarios with these names, each a whole name or a group's name. All if there is none. Long
 * ones need their whole name.
 * @throws Error if a name matches no scenario
 */
export function scenariosNamed(names: readonly string[]): readonly Scenario[] {
  const isWhole = (name: string) => scenarios.some(({ name: own }) => own === name);
  const fits = (name: string, { name: own, isLong = false }: Scenario) =>
    isWhole(name) ? own === name : !isLong && own.startsWith(`${name}:`);
  for (const name of names) {
    if (scenarios.some((scenario) => fits(name, scenario))) continue;
    throw new Error(
      `There is no scenario ${name}: known are ${scenarios.map((scenario) => scenario.name).join(", ")}.`,
    );
  }
  if (names.length === 0) return scenarios.filter(({ isLong = false }) => !isLong);
  return scenarios.filter((scenario) => names.some((name) => fits(name, scenario)));
}
