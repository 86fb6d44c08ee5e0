export { createServer, type DatabaseChoice, type HarkServer, type BaseServerOptions } from "./create-server.ts";
export { checkServerOptions, startOptions } from "./check-server-options.ts";
export { startServer, type RunningServer, type BaseStartOptions } from "./start-server.ts";
export type { Scope } from "./middleware/access.ts";
export type { AccessToken, Credentials, RequestHead } from "./middleware/authorize.ts";
export type { RateLimit } from "./middleware/rate-limit.ts";
export type { RouteParts, Routes } from "./routes/routes.ts";
export { CannotListenError, OpenServerError } from "./errors.ts";
