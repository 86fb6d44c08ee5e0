/**
 * What runs jobs in this process, as the server sees it: a worker or a JobManager, without
 * importing either.
 */
export interface Runtime {
  health(): RuntimeHealth | Promise<RuntimeHealth>;
}

export interface RuntimeHealth {
  readonly isRunning: boolean;
  readonly activeWorkers: number;
}
