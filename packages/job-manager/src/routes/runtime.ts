/**
 * The part that runs jobs in this process: a worker or a JobManager. The server needs only its
 * health, and imports neither.
 */
export interface Runtime {
  health(): RuntimeHealth | Promise<RuntimeHealth>;
}

export interface RuntimeHealth {
  readonly isRunning: boolean;
  readonly activeWorkers: number;
}
