import type { Adapter } from "./adapter.ts";
import type { Run } from "./run.ts";
import type { PostgresStore } from "./stores.ts";

export interface Metric {
  readonly key: string;
  readonly label: string;
  readonly unit: string;
  /** A time or a cost: a chart marks it as such. */
  readonly isLessBetter?: boolean;
}

/** One question that is measured for all adapters. */
export interface Scenario {
  /** For example `drain:1`. The word before the colon names the group. */
  readonly name: string;
  readonly title: string;
  readonly metrics: readonly Metric[];
  /** The adapters it compares, if they are others than those of most scenarios. */
  readonly adapters?: readonly Adapter[];
  /** Adapters that cannot do it, and why, in words. */
  readonly without?: readonly string[];
  /** Whether it makes sense for an adapter. For all adapters if not given. */
  readonly fits?: (adapter: Adapter) => boolean;
  /** Takes so long that it runs only when named, or with --all. */
  readonly isLong?: boolean;
  /**
   * How often each adapter is measured; 3 if not given. Once is enough for a count and for a ratio
   * within the run.
   */
  readonly rounds?: number;
  /** The deadline of a measurement, in ms; 2 minutes if not given. */
  readonly deadlineMs?: number;
  /** Changes the server for the time of the scenario. Returns a function that changes it back. */
  readonly arrange?: (server: PostgresStore) => Promise<() => Promise<void>>;
  /**
   * Measures one adapter once. Returns the values of the metrics, without those that do not apply.
   */
  measure(run: Run): Promise<Record<string, number>>;
}
