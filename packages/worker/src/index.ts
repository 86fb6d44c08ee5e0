export { type WorkerEventMap, WorkerEvents } from "./events.ts";
export { type Handler, implement, type JobContext } from "./implement.ts";
export { LeaseKeeper, type LeaseKeeperOptions } from "./lease-keeper.ts";
export { Listener, type ListenerOptions, type ListenerState } from "./listener.ts";
export type { WorkerOptions } from "./options.ts";
export { runUntilSignalled, type Stoppable } from "./runtime/shutdown.ts";
export { createWorker, Worker, type WorkerHealth, type WorkerState } from "./worker.ts";
export { ForgottenClaims } from "./upkeep/forgotten-claims.ts";
