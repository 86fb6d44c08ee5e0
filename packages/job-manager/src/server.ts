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
 * Builds the HTTP API with the URL job endpoints, without listening on a port. Opens no connection
 * before the first request.
 * @throws InvalidOptionsError
 */
export function createServer(options: ServerOptions): HarkServer {
  return createPlainServer(withUrlJobs(options));
}

/**
 * Runs the HTTP API with the URL job endpoints on a port of its own.
 * @throws OpenServerError for an address beyond loopback without a credential. The server does not
 * listen then
 * @throws CannotListenError, InvalidOptionsError
 */
export async function startServer(options: StartOptions): Promise<RunningServer> {
  return startPlainServer(withUrlJobs(options));
}

function withUrlJobs<Options extends ServerOptions>(options: Options): Options {
  return { ...options, routes: [urlJobRoutes(options), ...(options.routes ?? [])] };
}
