import type { OptionKinds } from "@hark/core/internal";
import {
  type BaseServerOptions,
  type BaseStartOptions,
  checkServerOptions,
  createServer as createPlainServer,
  type HarkServer,
  type RunningServer,
  startOptions,
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
  return createPlainServer(withUrlJobs("createServer", options));
}

/**
 * Runs the HTTP API with the URL job endpoints on a port of its own.
 * @throws OpenServerError for an address beyond loopback without a credential. The server does not
 * listen then
 * @throws CannotListenError, InvalidOptionsError
 */
export async function startServer(options: StartOptions): Promise<RunningServer> {
  return startPlainServer(withUrlJobs("startServer", options));
}

/** Of the URL job endpoints. */
const urlJobOptions: OptionKinds<UrlJobRoutesOptions> = {
  jobs: "list",
  openTypes: "flag",
  producer: "any",
  maxDepth: "any",
  cipher: "cipher",
  runtime: "any",
  hidePayloads: "flag",
};

/** Checks all options together, and puts those of the URL job endpoints into routes. */
function withUrlJobs<Options extends ServerOptions>(what: "createServer" | "startServer", options: Options): Options {
  checkServerOptions(what, options, { ...urlJobOptions, ...(what === "startServer" && startOptions) });
  const others = Object.entries(options).filter(([name]) => !Object.hasOwn(urlJobOptions, name));
  return { ...(Object.fromEntries(others) as Options), routes: [urlJobRoutes(options), ...(options.routes ?? [])] };
}
