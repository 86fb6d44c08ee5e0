export type { Statement } from "./statement.ts";
export { insertJobs, type InsertedJob, jobsJson, type NewJob } from "./insert-jobs.ts";
export { queueDepth } from "./queue-depth.ts";
export { listDue, promoteJobs, type Promotion, type PromotionRequest } from "./promote-jobs.ts";
export {
  databaseTime,
  type DeclaredSchedule,
  declareSchedules,
  fireSchedule,
  type Firing,
  type MissedTicks,
  removeSchedule,
  schedulesJson,
  waitingSchedules,
  type WaitingSchedule,
} from "./schedules.ts";
export { armGate, disarmGate, openWriters } from "./gate.ts";
export { isAnyReady, probeJobs } from "./probe-jobs.ts";
export {
  type ClaimAnswer,
  type ClaimedJob,
  claimJobs,
  claimPlainJobs,
  claimReadyJobs,
  type ClaimRequest,
  isPlain,
  settleAndClaimReadyJobs,
} from "./claim-jobs.ts";
export { parkBlocked, parkJobs } from "./park-jobs.ts";
export { type Claim, completeJobs, type Completions, completionsOf } from "./complete-jobs.ts";
export { type RetriedJob, retriedOf, retryJobs } from "./retry-jobs.ts";
export { buriedOf, type BuriedJob, buryJobs } from "./bury-jobs.ts";
export { cancelJob } from "./cancel-job.ts";
export { confirmClaims, type ConfirmedClaim } from "./confirm-claims.ts";
export { heldClaims } from "./held-claims.ts";
export { listOrphans, rescueJobs, rescueJobsById } from "./rescue-jobs.ts";
export { unparkJobs } from "./unpark-jobs.ts";
export { requeueJobs, type RequeuedJob } from "./requeue-jobs.ts";
export { unhandledTypes } from "./unhandled-types.ts";
export {
  certifyDeaths,
  leaveWorkers,
  registerWorker,
  renewLease,
  type Survey,
  surveyLeases,
  type SurveyRequest,
} from "./worker-leases.ts";
export { type DeadRows, type HorizonHolder, horizonHolders, type HorizonRequest } from "./horizon-holders.ts";
export { endFrozenListeners, type FrozenListener, listenerName, notificationQueueUsage } from "./frozen-listeners.ts";
export { createPartitions, type DroppedHistory, dropPartitions, foldStats, vacuumPassedTables } from "./upkeep.ts";
