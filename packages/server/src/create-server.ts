import type { IncomingMessage, ServerResponse } from "node:http";
import {
  borrowPool,
  createLogger,
  type Database,
  InvalidOptionsError,
  type Logger,
  openDatabase,
  redactingLogger,
} from "@hark/core";
import { getRequestListener } from "@hono/node-server";
import { buildApp } from "./app.ts";
import { RequestRefusedError } from "./errors.ts";
import { checkCredentials, type Credentials, isClosed } from "./middleware/authorize.ts";
import { answerFailure } from "./middleware/errors.ts";
import { loopbackNames } from "./middleware/host.ts";
import type { RateLimit } from "./middleware/rate-limit.ts";
import type { Routes } from "./routes/routes.ts";

/**
 * Where the jobs are: a database or pool of the application, which stays open, or one that the
 * server opens for itself.
 */
export type DatabaseChoice =
  | {
      /** An open database of the application; close() leaves it open. */
      database: Database;
    }
  | {
      /** A pg pool of the application; close() leaves it open. */
      pool: Parameters<typeof borrowPool>[0];
      isPooled?: boolean;
    }
  | {
      /** The URL of the database, for connections of its own. */
      connectionString: string;
      /** The connections lead through a transaction pooler. */
      isPooled?: boolean;
      /** Most connections; 3 if not given. */
      maxConnections?: number;
    };

export type BaseServerOptions = DatabaseChoice &
  Credentials & {
    /** What it serves beside /livez and /readyz. */
    routes?: readonly Routes[];
    /**
     * Hosts that requests may name, with or without a port. Without a credential only loopback
     * names if not given, else all.
     */
    allowedHosts?: readonly string[];
    /**
     * Most bytes of a request's body; 512 KiB if not given: a payload at its limit, with room for
     * escapes.
     */
    maxBodyBytes?: number;
    /**
     * Requests of each caller, a token or whatever `authorize` lets in; 500 a second, 1,000 at
     * once, if not given.
     */
    rateLimit?: RateLimit | false;
    /** Where log lines go; JSON lines on stderr, by pino, if not given. */
    logger?: Logger;
  };

export interface HarkServer extends AsyncDisposable {
  /**
   * Handles a request: for any framework that speaks fetch. It responds to every path, with 404
   * where it has nothing.
   */
  readonly fetch: (request: Request) => Promise<Response>;
  /** The same for node:http, and for Express and its kin where no body parser comes before it. */
  readonly nodeListener: (incoming: IncomingMessage, outgoing: ServerResponse) => void;
  /** Closes the connections it opened itself. */
  close(): Promise<void>;
}

/**
 * Builds the HTTP API without listening anywhere; opens no connection before the first request.
 * @throws InvalidOptionsError
 */
export function createServer(options: BaseServerOptions): HarkServer {
  checkCredentials(options);
  const { token, tokens, authorize, routes = [] } = options;
  const logger = redactingLogger(options.logger ?? createLogger());
  const credentials = { token, tokens, authorize };
  const database = databaseOf(options);

  const app = buildApp({
    database,
    routes,
    logger,
    credentials,
    rateLimit: checkRateLimit(options.rateLimit ?? { perSecond: 500 }),
    allowedHosts: options.allowedHosts ?? (isClosed(credentials) ? undefined : loopbackNames),
    maxBodyBytes: options.maxBodyBytes ?? 524_288,
  });
  const fetch = async (request: Request) => app.fetch(request);
  // With the sockets: who calls without a credential is judged by the address.
  const fetchFromNode = async (request: Request, sockets: object) => app.fetch(request, sockets);
  const close = async () => {
    if (!("database" in options)) await database.close();
  };
  const listener = getRequestListener(fetchFromNode, {
    overrideGlobalObjects: false, // the application's own Request and Response are not ours to replace
    errorHandler: () => answerFailure(unreadable(), { method: "", path: "" }, logger),
  });
  return {
    fetch,
    nodeListener: (incoming, outgoing) => void listener(incoming, outgoing),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function checkRateLimit(limit: RateLimit | false): RateLimit | undefined {
  if (limit === false) return undefined;
  for (const [name, value] of Object.entries(limit)) {
    if (!(typeof value === "number" && value > 0 && Number.isFinite(value)))
      throw new InvalidOptionsError("createServer", [
        { path: ["rateLimit", name], message: `must be a number above 0, not ${String(value)}` },
      ]);
  }
  return limit;
}

/** The one thing that fails outside the app: a request line or Host header that makes no URL. */
const unreadable = () =>
  new RequestRefusedError("MALFORMED_REQUEST", "The request's path or Host header makes no URL.");

function databaseOf(options: DatabaseChoice): Database {
  if ("database" in options) return options.database;
  if ("pool" in options) return borrowPool(options.pool, options);
  return openDatabase({ applicationName: "hark server", ...options });
}
