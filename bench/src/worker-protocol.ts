/** What the bench asks of a worker process, and what it hears back. */
export type Order =
  /** Starts `workers` workers of an adapter. `capacity` is the highest number of a job + 1; `isTimed` keeps when each ran. */
  | { kind: "start"; adapter: string; url: string; capacity: number; workers: number; isTimed: boolean }
  | { kind: "report" }
  | { kind: "usage" };

export type Notice =
  | { kind: "loaded" }
  | { kind: "started" }
  /** How many attempts were handled so far. */
  | { kind: "progress"; handled: number }
  | ({ kind: "report" } & Report)
  /** CPU that the process used since it was made, in us. */
  | { kind: "usage"; cpuMicros: number }
  | { kind: "failed"; message: string };

export interface Report {
  /** How often the handler of each job ran. */
  readonly counts: Uint8Array;
  /** When each job's handler started and ended, in ms of the machine's monotonic clock; 0 if it did not. Empty if not asked for. */
  readonly startedAt: Float64Array;
  readonly endedAt: Float64Array;
  /** CPU that the process used since it was made, in us. */
  readonly cpuMicros: number;
  /** Heap in use after a garbage collection, in bytes. */
  readonly heapBytes: number;
}
