/**
 * The channels, for both ends. A notification is a hint that anyone may forge or lose: it wakes,
 * and never carries a job's data. Payloads are small and equal, so that PostgreSQL folds them.
 */
export const channels = {
  /** Payload: see readJobReady. Sent by the trigger on hark.jobs. */
  jobReady: "job_ready",
  /**
   * Payload: when the earliest new scheduled job is due, in epoch ms by the database's clock. Sent
   * by the same trigger, for jobs that longestPromoteMs alone would not find in time.
   */
  jobScheduled: "job_scheduled",
  /** Payload: the id of a job cancelled while it ran. Sent by cancelJob. */
  jobCancelled: "job_cancelled",
  /**
   * Payload: the queue of a key whose parked jobs could not be handed the key, since others hold
   * them locked. Sent by hark.hand_off.
   */
  keyWaits: "key_waits",
  /** Payload: the hash of a lock's key (see lockHash in locks.ts). Sent by release. */
  lockReleased: "lock_released",
  /** Payload: the name of a schedule whose declaration was changed or removed. */
  scheduleChanged: "schedule_changed",
} as const;

/**
 * A promoter looks for the next due job at least this often, in ms: jobs that are due in more than
 * twice that are not announced (docs/decisions/0013), so that half of it is left for their
 * transaction to commit. Also in hark.announce_scheduled.
 */
export const longestPromoteMs = 30_000;

/** What a notification on job_ready says. */
export interface JobReady {
  readonly queue: string;
  /** Jobs of the queue in that statement; undefined if the payload does not say so. */
  readonly jobs: number | undefined;
  /**
   * Differs from one transaction to the next, so that all who hear it can agree on an order of
   * theirs.
   */
  readonly salt: string | undefined;
}

/**
 * Reads `<queue> <jobs> <salt>`. A queue alone, or one with anything else behind it, is a hint too:
 * it says less.
 */
export function readJobReady(payload: string): JobReady {
  const [queue = "", jobs = "", salt = "", ...rest] = payload.split(" ");
  if (rest.length > 0 || !/^[1-9]\d{0,8}$/.test(jobs) || !/^\d{1,20}$/.test(salt)) {
    return { queue, jobs: undefined, salt: undefined };
  }
  return { queue, jobs: Number(jobs), salt };
}

export type Channel = (typeof channels)[keyof typeof channels];

/** Where notifications are heard. The worker's listener is one; locks.ts waits on it. */
export interface Notifications {
  /**
   * Calls `heard` with each payload on the channel, and with undefined whenever notifications may
   * have been missed (after a connect). Returns a function that ends it. `heard` must not throw.
   */
  on(channel: Channel, heard: (payload: string | undefined) => void): () => void;
}
