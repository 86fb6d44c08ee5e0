export {
  attempts,
  deadJobs,
  finishedJobs,
  jobs,
  locks,
  runningJobs,
  schedules,
  scheduleTicks,
  stats,
  uniqueKeys,
  workers,
} from "@hark/core/schema";
