export { deadJobIdAt, deadJobIdsAfter, listDeadJobs } from "./dead-jobs.ts";
export { getJob } from "./get-job.ts";
export { getStats } from "./get-stats.ts";
export { countLiveWorkers } from "./live-workers.ts";
export { listSchedules } from "./list-schedules.ts";
