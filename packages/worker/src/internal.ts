/**
 * The subpath `@hark/worker/internal`: parts of the worker for the other packages of Hark and for
 * tests. Any release may change them.
 */
export { buildWorker, type WorkerParts } from "./build-worker.ts";
export { parseRule } from "./cron/parse-rule.ts";
export { type ScheduleRule, type Ticks, ticksOf } from "./cron/rule.ts";
export { Scheduler, type SchedulerParts } from "./cron/scheduler.ts";
export { LeaseKeeper, type LeaseKeeperOptions } from "./lease/lease-keeper.ts";
export { type LeaseNews, type LeaseRenewalParts, renewForEver } from "./lease/lease-renewal.ts";
export { SharedDeadline } from "./lease/shared-deadline.ts";
export { parseOptions } from "./options.ts";
export { type Ports, realPorts } from "./ports.ts";
export { DueJobs } from "./promote/due-jobs.ts";
export { completedWith } from "./run/result.ts";
export { AttemptEnd, endingOf, interrupted } from "./run/ending.ts";
export type { Slots } from "./run/slots.ts";
export { startStages, stopStages } from "./runtime/stages.ts";
export { ForgottenClaims } from "./upkeep/forgotten-claims.ts";
export { frozenListenerLook } from "./upkeep/frozen-listeners.ts";
export { oldSnapshotLook } from "./upkeep/old-snapshots.ts";
export { Orphans } from "./upkeep/orphans.ts";
export { fallAsleep } from "./wake/fall-asleep.ts";
export { Listener, type ListenerOptions } from "./wake/listener.ts";
export { NotifyGate, type NotifyGateOptions } from "./wake/notify-gate.ts";
export type { Writers } from "./wake/writer-watch.ts";
/** A simulation runs a worker by this entry alone. */
export { implement, type JobContext } from "./run/implement.ts";
export { Worker } from "./worker.ts";
