import type { Adapter } from "../adapter.ts";
import { bullmqPostgres, bullmqRedis } from "./bullmq.ts";
import { graphileWorkerBest, graphileWorkerDefault, graphileWorkerDirect } from "./graphile-worker.ts";
import { hark, harkWithoutKeys } from "./hark.ts";
import { pgBossBest, pgBossDefault, pgBossGroups, pgBossSingleton } from "./pg-boss.ts";
import { raw } from "./raw.ts";

/** In the order of the tables: Hark first, the ceiling last. */
export const adapters: readonly Adapter[] = [
  hark,
  graphileWorkerBest,
  graphileWorkerDefault,
  pgBossBest,
  pgBossDefault,
  bullmqPostgres,
  bullmqRedis,
  raw,
];

/** Only for scenarios whose jobs have keys. */
const keyed: readonly Adapter[] = [harkWithoutKeys, graphileWorkerDirect, pgBossSingleton, pgBossGroups];

/** @throws Error if no adapter has this name */
export function adapterNamed(name: string): Adapter {
  const known = [...adapters, ...keyed];
  const adapter = known.find((one) => one.name === name);
  if (adapter) return adapter;
  throw new Error(`There is no adapter ${name}: known are ${known.map((one) => one.name).join(", ")}.`);
}
