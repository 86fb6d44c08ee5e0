/**
 * Hark's tables, for an application that reads them with Drizzle. It is a separate subpath, so that
 * drizzle-orm is needed only where it is used.
 */
export {
  attempts,
  deadJobs,
  fences,
  finishedJobs,
  hosts,
  jobs,
  locks,
  rowLocks,
  runningJobs,
  schedules,
  scheduleTicks,
  stats,
  uniqueKeys,
  workers,
} from "@hark/core/schema";
