export {
  attempts,
  deadJobs,
  finishedJobs,
  hosts,
  jobs,
  locks,
  runningJobs,
  schedules,
  scheduleTicks,
  stats,
  uniqueKeys,
  workers,
} from "@hark/core/schema";
