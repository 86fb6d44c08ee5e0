import type { Adapter } from "./adapter.ts";
import type { PostgresStore } from "./stores.ts";
import type { Run } from "./run.ts";

export interface Metric {
  readonly key: string;
  readonly label: string;
  readonly unit: string;
}

/** One question to all adapters. */
export interface Scenario {
  /** `drain:1`: the word before the colon names the group. */
  readonly name: string;
  readonly title: string;
  readonly metrics: readonly Metric[];
  /** Whether it makes sense for an adapter; for all if not given. */
  readonly fits?: (adapter: Adapter) => boolean;
  /** Takes so long that it runs only when it is named. */
  readonly isLong?: boolean;
  /** Changes the server for the time of the scenario. Answers how to change it back. */
  readonly arrange?: (server: PostgresStore) => Promise<() => Promise<void>>;
  /** Measures one adapter once: the values of the metrics. What does not apply is left out. */
  measure(run: Run): Promise<Record<string, number>>;
}
