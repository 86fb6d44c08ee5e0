import { relative } from "node:path";
import { parseArgs } from "node:util";
import type { Adapter } from "./adapter.ts";
import { adapterNamed, adapters } from "./adapters/index.ts";
import { nowMs } from "./clock.ts";
import { describe, surroundingsOf, versionsOf } from "./conditions.ts";
import { measure } from "./measure.ts";
import { draw, keep, resultsFolder } from "./report.ts";
import { tableOf } from "./results.ts";
import type { Scenario } from "./scenario.ts";
import { scenarios, scenariosNamed } from "./scenarios/index.ts";
import { startPostgres, startRedis } from "./stores.ts";

/**
 * pnpm bench [scenario...] [--all] [--quick] [--keep] [--only adapter,...] [--draw]: measures,
 * prints a table for each scenario, and keeps each result in a file of its own. Then draws tables,
 * charts and the sections of the documents from all kept results.
 */
const { values, positionals } = parseArgs({
  args: process.argv.slice(2).filter((argument) => argument !== "--"),
  allowPositionals: true,
  options: {
    all: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    keep: { type: "boolean", default: false },
    only: { type: "string" },
    draw: { type: "boolean", default: false },
  },
});
const chosen = values.all ? scenarios : scenariosNamed(positionals);
const only = values.only?.split(",").map(adapterNamed);
const adaptersOf = (scenario: Scenario): readonly Adapter[] =>
  (only ?? scenario.adapters ?? adapters).filter((adapter) => scenario.fits?.(adapter) ?? true);
const order = scenarios.map(({ name }) => name);
const folder = resultsFolder({ isKept: values.keep || !values.quick });

if (values.draw) await draw(folder, order);
else await measureAll();

async function measureAll(): Promise<void> {
  const beganAt = nowMs();
  await using postgres = await startPostgres();
  const needsRedis = chosen.flatMap(adaptersOf).some(({ store }) => store === "redis");
  await using redis = needsRedis ? await startRedis() : undefined;
  const surroundings = await surroundingsOf({
    stores: [postgres.description, ...(redis ? [redis.description] : [])],
    isQuick: values.quick,
  });

  for (const scenario of chosen) {
    const startedAt = nowMs();
    const measuredAt = new Date().toISOString();
    const rounds = values.quick ? 1 : (scenario.rounds ?? 3);
    const wanted = adaptersOf(scenario);
    const those = wanted.filter(({ store }) => store !== "redis" || redis !== undefined);
    const missing = wanted.filter((adapter) => !those.includes(adapter));
    if (those.length === 0) continue;
    const stores = { postgresql: postgres, redis };
    const result = await measure(scenario, { adapters: those, stores, rounds, isQuick: values.quick });
    if (result.adapters.some(({ adapter, failure }) => adapter === "hark" && failure !== undefined)) {
      process.exitCode = 1;
    }
    const tookSeconds = (nowMs() - startedAt) / 1_000;
    const conditions = {
      ...surroundings,
      stores: surroundings.stores.filter(
        (store) => !store.startsWith("Redis") || those.some((one) => one.store === "redis"),
      ),
      measuredAt,
      rounds,
      tookSeconds,
      adapters: await versionsOf(those),
      leftOut: [...missing.map(({ name }) => `${name}, because there is no redis-server`), ...(scenario.without ?? [])],
    };
    console.log(`\n${tableOf(result)}\n\n${describe(conditions)}`);
    if (values.only !== undefined) continue; // a table of some adapters would replace the table of all
    // Kept at once, so that a run that is cut short keeps what it has measured.
    await keep(folder, { ...result, conditions });
    await draw(folder, order);
    console.log(`kept in ${relative(process.cwd(), folder)}\n`);
  }
  console.log(`${chosen.length} scenarios took ${Math.round((nowMs() - beganAt) / 1_000)} s.`);
}
