import {
  type BaseServerOptions,
  type BaseStartOptions,
  createServer as createPlainServer,
  type HarkServer,
  type RunningServer,
  startServer as startPlainServer,
} from "@hark/server";
import { urlJobRoutes, type UrlJobRoutesOptions } from "./routes/url-jobs.ts";

export type ServerOptions = BaseServerOptions & UrlJobRoutesOptions;
export type StartOptions = BaseStartOptions & UrlJobRoutesOptions;

/**
 * Builds the HTTP API with DataShelf's endpoints, without listening anywhere; opens no connection
 * before the first request.
 * @throws InvalidOptionsError
 */
export function createServer(options: ServerOptions): HarkServer {
  return createPlainServer(withUrlJobs(options));
}

/**
 * Runs the HTTP API with DataShelf's endpoints on a port of its own.
 * @throws OpenServerError for an address beyond loopback without a credential; nothing listens then
 * @throws CannotListenError, InvalidOptionsError
 */
export async function startServer(options: StartOptions): Promise<RunningServer> {
  return startPlainServer(withUrlJobs(options));
}

function withUrlJobs<Options extends ServerOptions>(options: Options): Options {
  return { ...options, routes: [urlJobRoutes(options), ...(options.routes ?? [])] };
}
