import type { Adapter } from "../adapter.ts";
import { bullmqPostgres, bullmqRedis } from "./bullmq.ts";
import { graphileWorkerBest, graphileWorkerDefault } from "./graphile-worker.ts";
import { hark } from "./hark.ts";
import { pgBossBest, pgBossDefault } from "./pg-boss.ts";
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

/** @throws Error if no adapter has this name */
export function adapterNamed(name: string): Adapter {
  const adapter = adapters.find((one) => one.name === name);
  if (adapter) return adapter;
  throw new Error(`There is no adapter ${name}: known are ${adapters.map((one) => one.name).join(", ")}.`);
}
