import { relative } from "node:path";
import { parseArgs } from "node:util";
import { type Adapter } from "./adapter.ts";
import { adapterNamed, adapters } from "./adapters/index.ts";
import { conditionsOf, describe, writeResults } from "./report.ts";
import { type AdapterResult, mediansOf, orderOf, type ScenarioResult, tableOf } from "./results.ts";
import { Run } from "./run.ts";
import type { Scenario } from "./scenario.ts";
import { scenarios, scenariosNamed } from "./scenarios/index.ts";
import { type PostgresStore, startPostgres, startRedis, type Store } from "./stores.ts";

/** pnpm bench [scenario...] [--quick] [--only adapter,...]: measures, prints a table for each, and writes results/. */
const { values, positionals } = parseArgs({
  args: process.argv.slice(2).filter((argument) => argument !== "--"),
  allowPositionals: true,
  options: { quick: { type: "boolean", default: false }, only: { type: "string" } },
});
const chosen = scenariosNamed(positionals);
const named = values.only === undefined ? adapters : values.only.split(",").map(adapterNamed);
const repetitions = values.quick ? 1 : 3;

await using postgres = await startPostgres();
await using redis = named.some(({ store }) => store === "redis") ? await startRedis() : undefined;
const taking = named.filter(({ store }) => store !== "redis" || redis !== undefined);
const conditions = await conditionsOf(taking, {
  stores: [postgres.description, ...(redis ? [redis.description] : [])],
  repetitions,
  isQuick: values.quick,
  leftOut: named.filter((one) => !taking.includes(one)).map(({ name }) => name),
});
console.log(describe(conditions));

for (const scenario of chosen) {
  const result = await measure(scenario, { postgresql: postgres, redis });
  console.log(`\n${tableOf(result)}`);
  if (values.only !== undefined) continue; // a table without the others would take the place of one with them
  // At once: a run of hours that is cut short keeps what it has.
  const order = scenarios.map(({ name }) => name);
  console.log(`written to ${relative(process.cwd(), await writeResults([result], conditions, order))}`);
}

async function measure(
  scenario: Scenario,
  stores: { postgresql: PostgresStore; redis: Store | undefined },
): Promise<ScenarioResult> {
  const runs = new Map<Adapter, Record<string, number>[]>();
  const failures = new Map<Adapter, string>();
  const those = taking.filter((adapter) => scenario.fits?.(adapter) ?? true);
  const restore = await scenario.arrange?.(postgres);
  try {
    for (let repetition = 0; repetition < repetitions; repetition += 1) {
      for (const adapter of orderOf(those, repetition)) {
        try {
          await using run = await Run.open({
            adapter,
            url: await stores[adapter.store]!.fresh(),
            isQuick: values.quick,
            postgres,
          });
          const figures = await scenario.measure(run);
          runs.set(adapter, [...(runs.get(adapter) ?? []), figures]);
          console.log(`${scenario.name} ${adapter.name} ${JSON.stringify(figures)}`);
        } catch (error) {
          // One peer that fails is a result too, and no reason to lose the others'.
          console.error(error);
          failures.set(adapter, error instanceof Error ? error.message : String(error));
        }
      }
    }
  } finally {
    await restore?.();
  }
  const results = those.map((adapter): AdapterResult => {
    const failure = failures.get(adapter);
    const own = runs.get(adapter) ?? [];
    return {
      adapter: adapter.name,
      medians: mediansOf(scenario.metrics, own),
      runs: own,
      ...(failure === undefined ? {} : { failure }),
    };
  });
  return { scenario: scenario.name, title: scenario.title, metrics: scenario.metrics, adapters: results };
}
