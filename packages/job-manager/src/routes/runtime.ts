/**
 * The part that runs jobs in this process, as a JobManager does. The server needs only its health.
 */
export interface Runtime {
  health(): RuntimeHealth | Promise<RuntimeHealth>;
}

export interface RuntimeHealth {
  /** True while it claims and runs jobs. */
  readonly isRunning: boolean;
  /** Size of the pool at work: the jobs that may run at the same time. */
  readonly activeWorkers: number;
}
