/**
 * What people ask and do, loaded at the first question: it is answered with Drizzle, whose modules take 1.2 s of CPU to load
 * (measured on two cores, Node 24), ten times what all the rest of Hark takes. Producers and workers never ask.
 */
export const getStats: typeof import("./get-stats.ts").getStats = async (...asked) =>
  (await import("./get-stats.ts")).getStats(...asked);

export const getJob: typeof import("./get-job.ts").getJob = async (...asked) =>
  (await import("./get-job.ts")).getJob(...asked);

export const listDeadJobs: typeof import("./dead-jobs.ts").listDeadJobs = async (...asked) =>
  (await import("./dead-jobs.ts")).listDeadJobs(...asked);

export const deadJobIdAt: typeof import("./dead-jobs.ts").deadJobIdAt = async (...asked) =>
  (await import("./dead-jobs.ts")).deadJobIdAt(...asked);

export const countLiveWorkers: typeof import("./live-workers.ts").countLiveWorkers = async (...asked) =>
  (await import("./live-workers.ts")).countLiveWorkers(...asked);

export { cancelJob } from "./cancel-job.ts";
export { requeueDeadJob } from "./requeue-dead-job.ts";
export type { DeadJob } from "./dead-jobs.ts";
export type { JobDetails } from "./get-job.ts";
export type { StateCounts, Stats } from "./get-stats.ts";
