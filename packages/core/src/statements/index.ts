// The folders are named as the worker's are. Each file holds one statement, which can be pasted
// into psql.
export type { Statement } from "./statement.ts";

export { insertJobs, type InsertedJob, jobsJson, type NewJob } from "./enqueue/insert-jobs.ts";
export { queueDepth } from "./enqueue/queue-depth.ts";

export { openNotifyGate } from "./wake/open-notify-gate.ts";
export { openWriters } from "./wake/open-writers.ts";
export { closeNotifyGate } from "./wake/close-notify-gate.ts";
export { type Probe, probeJobs, type ProbeRequest, queuesWithReadyJobs } from "./wake/probe-jobs.ts";

export { listDue } from "./promote/list-due.ts";
export { promoteJobs, type Promotion, type PromotionRequest } from "./promote/promote-jobs.ts";
export { firstKey, type KeyCursor, type UnparkLook, unparkJobs } from "./promote/unpark-jobs.ts";

export {
  type ClaimAnswer,
  type ClaimedJob,
  claimJobs,
  claimJobsByType,
  type ClaimPositions,
  isKeyContended,
  isPlain,
} from "./claim/claim.ts";
export type { ClaimPosition, ClaimRequest } from "./claim/claim-request.ts";
export { claimReadyJobs } from "./claim/claim-jobs.ts";
export { claimContendedJobs } from "./claim/claim-contended-jobs.ts";
export { claimHinderedJobs } from "./claim/claim-hindered-jobs.ts";
export { claimPlainJobs } from "./claim/claim-plain-jobs.ts";
export { settleAndClaimReadyJobs } from "./claim/settle-and-claim-jobs.ts";
export { claimContendedJobsByType } from "./claim/claim-contended-jobs-by-type.ts";
export { claimPlainJobsByType } from "./claim/claim-plain-jobs-by-type.ts";
export { urgencyByType } from "./claim/urgency-by-type.ts";
export { type QueueHead, surveyHead } from "./claim/survey-head.ts";
export { confirmClaims, type ConfirmedClaim } from "./claim/confirm-claims.ts";
export { heldClaims } from "./claim/held-claims.ts";
export { beginJobs, needsMark } from "./claim/begin-jobs.ts";
export { parkBlocked, parkJobs } from "./claim/park-jobs.ts";

export { type Claim, completeJobs, type Completions, completionsOf } from "./settle/complete-jobs.ts";
export { completeAndClaimNext, completeAndClaimNextRows } from "./settle/complete-and-claim-next.ts";
export { type RetriedJob, retriedOf, retryJobs } from "./settle/retry-jobs.ts";
export { buriedOf, type BuriedJob, buryJobs } from "./settle/bury-jobs.ts";
export { lockedClaims } from "./settle/locked-claims.ts";
export { cancelJob } from "./settle/cancel-job.ts";
export { cancelledClaims } from "./settle/cancelled-claims.ts";
export { requeueJobs, type RequeuedJob } from "./settle/requeue-jobs.ts";

export { registerWorker } from "./lease/register-worker.ts";
export { type Peer, type Renewal, renewLease } from "./lease/renew-lease.ts";
export { type Survey, surveyLeases, type SurveyRequest } from "./lease/survey-leases.ts";
export { certifyDeaths } from "./lease/certify-deaths.ts";
export { absolveClaims } from "./lease/absolve-claims.ts";
export { rescueJobs } from "./lease/rescue-jobs.ts";
export { listOrphans } from "./lease/list-orphans.ts";
export { leaveWorkers } from "./lease/leave-workers.ts";

export { type DeclaredSchedule, declareSchedules, type MissedTicks, schedulesJson } from "./cron/declare-schedules.ts";
export { databaseTime } from "./cron/database-time.ts";
export { waitingSchedules, type WaitingSchedule } from "./cron/waiting-schedules.ts";
export { fireSchedule, type Firing } from "./cron/fire-schedule.ts";
export { removeSchedule } from "./cron/remove-schedule.ts";

export { takeTurn, type Turn, type TurnRequest } from "./turns/take-turn.ts";

export { createPartitions } from "./upkeep/create-partitions.ts";
export { type DroppedHistory, dropPartitions } from "./upkeep/drop-partitions.ts";
export { deleteDeadJobs, type DeletedDeadJob } from "./upkeep/delete-dead-jobs.ts";
export { pruneDeadJobs } from "./upkeep/prune-dead-jobs.ts";
export { sweepExpired } from "./upkeep/sweep-expired.ts";
export { foldStats } from "./upkeep/fold-stats.ts";
export { vacuumPassedTables } from "./upkeep/vacuum-passed-tables.ts";
export { endFrozenListeners, type FrozenListener, listenerName } from "./upkeep/end-frozen-listeners.ts";
export { notificationQueueUsage } from "./upkeep/notification-queue-usage.ts";
export { type DeadRows, type HorizonHolder, horizonHolders, type HorizonRequest } from "./upkeep/horizon-holders.ts";
export { type UnhandledType, unhandledTypes } from "./upkeep/unhandled-types.ts";
