import { parseArgs } from "node:util";
import { type Adapter } from "./adapter.ts";
import { adapterNamed, adapters } from "./adapters/index.ts";
import { type AdapterResult, mediansOf, orderOf, type ScenarioResult, tableOf } from "./results.ts";
import { Run } from "./run.ts";
import type { Scenario } from "./scenario.ts";
import { scenariosNamed } from "./scenarios/index.ts";
import { type PostgresStore, startPostgres, startRedis, type Store } from "./stores.ts";

/** pnpm bench [scenario...] [--quick] [--only adapter,...]: see README.md beside this folder. */
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
for (const { name } of named.filter((one) => !taking.includes(one))) {
  console.log(`${name} is LEFT OUT: there is no redis-server on this machine.`);
}
console.log([postgres.description, redis?.description, `Node ${process.versions.node}`].filter(Boolean).join("; "));

for (const scenario of chosen) {
  const result = await measure(scenario, { postgresql: postgres, redis });
  console.log(`\n${tableOf(result)}`);
}

async function measure(
  scenario: Scenario,
  stores: { postgresql: PostgresStore; redis: Store | undefined },
): Promise<ScenarioResult> {
  const runs = new Map<Adapter, Record<string, number>[]>();
  const failures = new Map<Adapter, string>();
  const those = taking.filter((adapter) => scenario.fits?.(adapter) ?? true);
  const restore = await scenario.arrange?.(postgres);
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
  await restore?.();
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
