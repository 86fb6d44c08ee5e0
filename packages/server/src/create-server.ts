import type { IncomingMessage, ServerResponse } from "node:http";
import {
  borrowPool,
  createLogger,
  type Database,
  InvalidOptionsError,
  type Logger,
  openDatabase,
  type Password,
  type PgPool,
} from "@hark/core";
import { redactingLogger } from "@hark/core/internal";
import { checkServerOptions } from "./check-server-options.ts";
import { RequestRefusedError } from "./errors.ts";
import { checkCredentials, type Credentials, isClosed } from "./middleware/authorize.ts";
import { answerFailure } from "./middleware/errors.ts";
import { loopbackNames } from "./middleware/host.ts";
import type { RateLimit } from "./middleware/rate-limit.ts";
import type { Routes } from "./routes/routes.ts";

/**
 * The database: a database or pool of the application, which stays open, or a URL, for which the
 * server opens its own connections.
 */
export type DatabaseChoice =
  | {
      /** An open database of the application. close() leaves it open. */
      database: Database;
    }
  | {
      /** A pg pool of the application. close() leaves it open. */
      pool: PgPool;
      isPooled?: boolean;
    }
  | {
      /** The URL of the database. The server opens its own connections. */
      connectionString: string;
      /** Called for each new connection, for passwords that change. The URL then needs none. */
      password?: Password | undefined;
      /** Set to true if the URL goes through a transaction pooler. */
      isPooled?: boolean;
      /** Most connections. Default: 3. */
      maxConnections?: number;
    };

export type BaseServerOptions = DatabaseChoice &
  Credentials & {
    /** Routes in addition to /livez and /readyz. */
    routes?: readonly Routes[];
    /**
     * Hosts that requests may name, with or without a port. Default: all with a credential, only
     * loopback names without one.
     */
    allowedHosts?: readonly string[];
    /**
     * Most bytes of a request's body. Default: 512 KiB, which fits a payload at its limit, with
     * room for escapes.
     */
    maxBodyBytes?: number;
    /**
     * Limit on the requests of each token. Requests that `authorize` allows share one limit.
     * Default: 500 a second, and 1,000 at once.
     */
    rateLimit?: RateLimit | false;
    /** Receives log lines. Default: JSON lines on stderr, by pino. */
    logger?: Logger;
  };

export interface HarkServer extends AsyncDisposable {
  /**
   * Handles a request, for any framework that uses fetch. It responds to every path, with 404 for
   * unknown ones. A `Request` does not tell whose it is: without a credential, all but health
   * checks are refused with 401.
   */
  readonly fetch: (request: Request) => Promise<Response>;
  /** The same for node:http, Express and similar frameworks. No body parser may run before it. */
  readonly nodeListener: (incoming: IncomingMessage, outgoing: ServerResponse) => void;
  /** Closes the connections that the server opened itself. */
  close(): Promise<void>;
}

/**
 * Builds the HTTP API without listening on a port. Opens no connection before the first request.
 * @throws InvalidOptionsError
 */
export function createServer(options: BaseServerOptions): HarkServer {
  checkServerOptions("createServer", options);
  return buildServer(options);
}

/** The same for options that were checked. */
export function buildServer(options: BaseServerOptions): HarkServer {
  checkCredentials(options);
  const { token, tokens, authorize, routes = [] } = options;
  const logger = redactingLogger(options.logger ?? createLogger());
  const credentials = { token, tokens, authorize };
  const database = databaseOf(options);

  const parts = {
    database,
    routes,
    logger,
    credentials,
    rateLimit: checkRateLimit(options.rateLimit ?? { perSecond: 500 }),
    allowedHosts: options.allowedHosts ?? (isClosed(credentials) ? undefined : loopbackNames),
    maxBodyBytes: options.maxBodyBytes ?? 524_288,
  };
  // Loaded here, and not with this package: hono takes as long to load as pg, and a process that
  // only enqueues or works does not need it.
  const loading = import("./app.ts").then(({ buildApp }) => buildApp(parts));
  loading.catch(() => {}); // every request tells of it
  const fetch = async (request: Request) => (await loading).fetch(request);
  // Passes the sockets: without a credential, the caller's address decides (SEC-10).
  const fetchFromNode = async (request: Request, sockets: object) => (await loading).fetch(request, sockets);
  const close = async () => {
    if (!isGiven(options, "database")) await database.close();
  };
  const loadingListener = import("@hono/node-server").then(({ getRequestListener }) =>
    getRequestListener(fetchFromNode, {
      overrideGlobalObjects: false, // do not replace the application's Request and Response
      errorHandler: () => answerFailure(unreadable(), { method: "", path: "" }, logger),
    }),
  );
  return {
    fetch,
    nodeListener: (incoming, outgoing) =>
      void loadingListener.then(
        (listener) => listener(incoming, outgoing),
        (error: unknown) => outgoing.destroy(error as Error),
      ),
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

/**
 * The only failure outside the app: a request line or Host header that does not form a valid URL.
 */
const unreadable = () =>
  new RequestRefusedError("MALFORMED_REQUEST", "The request's path and Host header do not form a valid URL.");

/** Whether the choice is this one: one that is undefined is not given. */
function isGiven<Place extends "database" | "pool">(
  options: DatabaseChoice,
  place: Place,
): options is Extract<DatabaseChoice, Record<Place, unknown>> {
  return place in options && (options as Record<string, unknown>)[place] !== undefined;
}

function databaseOf(options: DatabaseChoice): Database {
  if (isGiven(options, "database")) return options.database;
  if (isGiven(options, "pool")) return borrowPool(options.pool, { isPooled: options.isPooled ?? false });
  const { connectionString, password, isPooled, maxConnections } = options;
  return openDatabase({ applicationName: "hark server", connectionString, password, isPooled, maxConnections });
}
