import type { Workload } from "./adapter.ts";

/** Messages that the bench sends to a worker process. */
export type Order =
  /**
   * Starts `workers` workers of an adapter. `capacity` is the highest number of a job + 1.
   * `isTimed` records when each job ran.
   */
  | {
      kind: "start";
      adapter: string;
      url: string;
      capacity: number;
      workers: number;
      isTimed: boolean;
      workload: Workload;
    }
  | { kind: "report" }
  | { kind: "usage" };

export type Notice =
  | { kind: "loaded" }
  | { kind: "started" }
  /** How many attempts were handled so far. */
  | { kind: "progress"; handled: number }
  | ({ kind: "report" } & Report)
  /** CPU time of the process since it was started, in us. */
  | { kind: "usage"; cpuMicros: number }
  | { kind: "failed"; message: string };

export interface Report {
  /** How often the handler of each job ran. */
  readonly counts: Uint8Array;
  /**
   * When each job's handler started and ended, in ms of the machine's monotonic clock; 0 if it did
   * not. Empty if not timed.
   */
  readonly startedAt: Float64Array;
  readonly endedAt: Float64Array;
  /** How many jobs started while another job with their key ran in the process. */
  readonly overlaps: number;
  /** CPU time of the process since it was started, in us. */
  readonly cpuMicros: number;
  /** Heap in use after a garbage collection, in bytes. */
  readonly heapBytes: number;
}
