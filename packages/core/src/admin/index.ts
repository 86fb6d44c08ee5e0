export { cancelJob } from "./cancel-job.ts";
export { deadJobIdAt, deadJobIdsAfter, type DeadJob, listDeadJobs } from "./dead-jobs.ts";
export { getJob, type JobDetails } from "./get-job.ts";
export { getStats, type StateCounts, type Stats } from "./get-stats.ts";
export { listSchedules, type StoredSchedule } from "./list-schedules.ts";
export { countLiveWorkers } from "./live-workers.ts";
export { listOldSnapshots, type OldSnapshot } from "./old-snapshots.ts";
export { removeSchedule } from "./remove-schedule.ts";
export { requeueDeadJob } from "./requeue-dead-job.ts";
