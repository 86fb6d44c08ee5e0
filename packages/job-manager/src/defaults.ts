/**
 * What JobManager and PostgresQueue do if neither an option nor a variable says otherwise. Times
 * are in ms.
 */
export const defaults = {
  concurrency: 3,
  retryAttempts: 3,
  requestDelay: 1_000,
  lockTTL: 600_000,
  pollInterval: 1_000,
  delayedJobsInterval: 30_000,
  lease: 10_000,
  drainTimeout: 25_000,
} as const;

/** The ranges of numbers that options and variables share, with what they count. */
export const ranges = {
  concurrency: [1, 10_000, "jobs at once"],
  retryAttempts: [1, 1_000, "attempts in all"],
  requestDelay: [0, 3_600_000, "ms"],
  lockTTL: [1_000, 86_400_000, "ms"],
  pollInterval: [100, 86_400_000, "ms"],
  delayedJobsInterval: [100, 86_400_000, "ms"],
  lease: [1_000, 86_400_000, "ms"],
} as const satisfies Partial<Record<keyof typeof defaults, readonly [least: number, most: number, unit: string]>>;
