/**
 * What people ask and do. The questions are answered with Drizzle, whose modules take 0.4 to 1.5 s to load (two cores, Node
 * 24), ten times what all the rest of Hark takes, so they are loaded at the first question: producers and workers never ask.
 */
const questions = () => import("./questions.ts");
type Questions = Awaited<ReturnType<typeof questions>>;

/**
 * Loads what answers questions. A process that runs jobs and also asks calls it before it claims any, since loading blocks the
 * event loop, and with it every job, for as long as it takes.
 */
export async function loadQuestions(): Promise<void> {
  await questions();
}

export const getStats: Questions["getStats"] = async (...asked) => (await questions()).getStats(...asked);

export const getJob: Questions["getJob"] = async (...asked) => (await questions()).getJob(...asked);

export const listDeadJobs: Questions["listDeadJobs"] = async (...asked) => (await questions()).listDeadJobs(...asked);

export const deadJobIdAt: Questions["deadJobIdAt"] = async (...asked) => (await questions()).deadJobIdAt(...asked);

export const deadJobIdsAfter: Questions["deadJobIdsAfter"] = async (...asked) =>
  (await questions()).deadJobIdsAfter(...asked);

export const countLiveWorkers: Questions["countLiveWorkers"] = async (...asked) =>
  (await questions()).countLiveWorkers(...asked);

export const listSchedules: Questions["listSchedules"] = async (...asked) =>
  (await questions()).listSchedules(...asked);

export { cancelJob } from "./cancel-job.ts";
export { listOldSnapshots, type OldSnapshot } from "./old-snapshots.ts";
export { requeueDeadJob } from "./requeue-dead-job.ts";
export { removeSchedule } from "./remove-schedule.ts";
export type { DeadJob } from "./dead-jobs.ts";
export type { JobDetails } from "./get-job.ts";
export type { StoredSchedule } from "./list-schedules.ts";
export type { StateCounts, Stats } from "./get-stats.ts";
