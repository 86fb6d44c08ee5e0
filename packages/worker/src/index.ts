export { type Schedule, schedule, type ScheduleOptions } from "./cron/schedule.ts";
export type { WorkerOptions } from "./options.ts";
export { type WorkerEventMap, WorkerEvents } from "./run/events.ts";
export { type Handler, implement, type JobContext } from "./run/implement.ts";
export { runUntilSignalled, type Stoppable } from "./runtime/shutdown.ts";
export type { ListenerState } from "./wake/listener.ts";
export { createWorker, Worker, type WorkerHealth, type WorkerState } from "./worker.ts";
