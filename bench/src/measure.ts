import type { Adapter } from "./adapter.ts";
import { within } from "./clock.ts";
import { orderOf, resultOf, type ScenarioResult } from "./results.ts";
import { Run } from "./run.ts";
import type { Scenario } from "./scenario.ts";
import type { PostgresStore, Store } from "./stores.ts";

/** The deadlines of a measurement, and of closing its run, in ms. */
const deadlineMs = 120_000;
const closeMs = 30_000;

export interface MeasureOptions {
  readonly adapters: readonly Adapter[];
  readonly stores: { readonly postgresql: PostgresStore; readonly redis: Store | undefined };
  readonly rounds: number;
  readonly isQuick: boolean;
}

/** Measures a scenario for several adapters, in rounds of alternating order. */
export async function measure(
  scenario: Scenario,
  { adapters, stores, rounds, isQuick }: MeasureOptions,
): Promise<ScenarioResult> {
  const { name, title, metrics } = scenario;
  const runs = new Map<Adapter, Record<string, number>[]>();
  const failures = new Map<Adapter, string>();
  const restore = await scenario.arrange?.(stores.postgresql);
  try {
    for (let round = 0; round < rounds; round += 1) {
      for (const adapter of orderOf(adapters, round)) {
        if (failures.has(adapter)) continue; // a failed run voids its other rounds
        try {
          const url = await stores[adapter.store]!.fresh();
          const run = await Run.open({ adapter, url, isQuick, postgres: stores.postgresql });
          const figures = await measured(scenario, run);
          runs.set(adapter, [...(runs.get(adapter) ?? []), figures]);
          console.log(`${name} ${adapter.name} ${JSON.stringify(figures)}`);
        } catch (error) {
          // A peer's failure is a result too, and must not lose the results of the others.
          console.error(error);
          failures.set(adapter, error instanceof Error ? error.message : String(error));
        }
      }
    }
  } finally {
    await restore?.();
  }
  const results = adapters.map((adapter) =>
    resultOf(adapter.name, metrics, runs.get(adapter) ?? [], failures.get(adapter)),
  );
  return { scenario: name, title, metrics, adapters: results };
}

/**
 * The figures of one run. The run is always closed, and failing to close it does not void the
 * figures.
 */
async function measured(scenario: Scenario, run: Run): Promise<Record<string, number>> {
  try {
    const limitMs = scenario.deadlineMs ?? deadlineMs;
    return await within(limitMs, `${run.adapter.name}: ${scenario.name}`, scenario.measure(run));
  } finally {
    const closed = within(closeMs, `${run.adapter.name}: its end`, run[Symbol.asyncDispose]());
    await closed.catch((error: unknown) => console.error(error));
  }
}
