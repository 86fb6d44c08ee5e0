export { createServer, type HarkServer, type ServerOptions } from "./create-server.ts";
export { startServer, type RunningServer, type StartOptions } from "./start-server.ts";
export {
  defineMissionJob,
  type MissionJobOptions,
  type MissionJob,
  missionJobs,
  type MissionPayload,
  missionPayload,
} from "./mission-jobs.ts";
export type { Scope } from "./middleware/access.ts";
export type { AccessToken, Credentials, RequestHead } from "./middleware/authorize.ts";
export type { RateLimit } from "./middleware/rate-limit.ts";
export type { Runtime, RuntimeHealth } from "./runtime.ts";
export type { DeadLetter } from "./routes/dead-letters.ts";
export type { QueueStats } from "./routes/queue-stats.ts";
export { CannotListenError, OpenServerError } from "./errors.ts";
