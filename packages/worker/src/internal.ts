/** The subpath `@hark/worker/internal`: parts of the worker for the other packages of Hark. No promise is kept for it. */
export { buildWorker, type WorkerParts } from "./build-worker.ts";
export { parseOptions } from "./options.ts";
export { realPorts } from "./ports.ts";
export { DueJobs } from "./promote/due-jobs.ts";
export { AttemptEnd, endingOf, interrupted } from "./run/ending.ts";
export type { Slots } from "./run/slots.ts";
export { startStages, stopStages } from "./runtime/stages.ts";
