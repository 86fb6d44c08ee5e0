import type { Adapter } from "./adapter.ts";
import type { Run } from "./run.ts";
import type { PostgresStore } from "./stores.ts";

export interface Metric {
  readonly key: string;
  readonly label: string;
  readonly unit: string;
  /** A time or a cost: a chart says so. */
  readonly isLessBetter?: boolean;
}

/** One question to all adapters. */
export interface Scenario {
  /** `drain:1`: the word before the colon names the group. */
  readonly name: string;
  readonly title: string;
  readonly metrics: readonly Metric[];
  /** Whether it makes sense for an adapter; for all if not given. */
  readonly fits?: (adapter: Adapter) => boolean;
  /** Takes so long that it runs only when it is named, and with --all. */
  readonly isLong?: boolean;
  /** How often each adapter is measured; 3 if not given. Once is enough for a count, and for a ratio within the run. */
  readonly rounds?: number;
  /** When a measurement that does not end is given up, in ms; 2 minutes if not given. */
  readonly deadlineMs?: number;
  /** Changes the server for the time of the scenario. Answers how to change it back. */
  readonly arrange?: (server: PostgresStore) => Promise<() => Promise<void>>;
  /** Measures one adapter once: the values of the metrics. What does not apply is left out. */
  measure(run: Run): Promise<Record<string, number>>;
}
