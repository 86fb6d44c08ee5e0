import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { createServer as createHttpServer, type Server } from "node:http";
import { type AddressInfo, isIPv6, type Socket } from "node:net";
import { createLogger, type Duration, InvalidOptionsError } from "@hark/core";
import { parseDuration, redactingLogger } from "@hark/core/internal";
import { checkServerOptions, startOptions } from "./check-server-options.ts";
import { Connections } from "./connections.ts";
import { buildServer, type HarkServer, type BaseServerOptions } from "./create-server.ts";
import { CannotListenError, OpenServerError } from "./errors.ts";
import { isLoopback } from "./loopback.ts";
import { checkCredentials, isClosed } from "./middleware/authorize.ts";
import { failureBody } from "./middleware/errors.ts";
import { loopbackNames } from "./middleware/host.ts";

export type BaseStartOptions = BaseServerOptions & {
  /** Default: 3000. 0 picks a free port. */
  port?: number;
  /** Default: 127.0.0.1. An address that other machines can reach needs a token or `authorize`. */
  host?: string;
  /** How long close() waits for requests in progress. Default: 10 s. */
  drainTimeout?: Duration;
};

export interface RunningServer extends AsyncDisposable {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /**
   * Finishes the requests in progress, then closes every connection. May be called more than once.
   */
  close(): Promise<void>;
}

/** A shorter `token` gives a warning if other machines can reach the server. */
const safeLength = 32;

/**
 * Runs the HTTP API on a port of its own.
 * @throws OpenServerError for an address beyond loopback without a credential. The server does not
 * listen then
 * @throws CannotListenError, InvalidOptionsError
 */
export async function startServer(options: BaseStartOptions): Promise<RunningServer> {
  checkServerOptions("startServer", options, startOptions);
  const { port = 3_000, host = "127.0.0.1", logger = createLogger(), drainTimeout = 10_000 } = options;
  checkCredentials(options);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new InvalidOptionsError("startServer", [
      { path: ["port"], message: `must be an integer from 0 to 65535, not ${port}` },
    ]);
  }
  const drainMs = parseDuration("drainTimeout", drainTimeout);

  const address = await resolve(host, port);
  const isLocal = isLoopback(address);
  if (!isLocal && !isClosed(options)) throw new OpenServerError(host);

  const http = createHttpServer({
    // SEC-20. By default Node checks for late requests every 30 s, so a limit of 10 s would act as
    // 40 s.
    headersTimeout: 10_000,
    requestTimeout: 30_000,
    connectionsCheckingInterval: 1_000,
    keepAliveTimeout: 5_000,
    requireHostHeader: false, // the app refuses such a request itself, with a JSON body
  });
  const connections = new Connections(http, redactingLogger(logger));
  http.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) =>
    answerUnreadable(error, socket, connections),
  );
  const bound = await listen(http, address, port);

  let server: HarkServer;
  try {
    const allowedHosts = isLocal &&
      !options.allowedHosts && { allowedHosts: loopbackNames.map((name) => `${name}:${bound}`) };
    server = buildServer({ ...options, logger, ...allowedHosts });
  } catch (error) {
    http.close(); // the options were refused, so release the port
    throw error;
  }
  const { nodeListener } = server;
  http.on(
    "request",
    (request, response) => void (connections.admit(request, response) && nodeListener(request, response)),
  );
  const url = `http://${isIPv6(address) ? `[${address}]` : address}:${bound}`;
  logger.info({ url }, "listening");
  if (!isLocal && options.token !== undefined && options.token.length < safeLength)
    logger.warn(
      { url, leastLength: safeLength },
      `the token is short enough to be guessed: make one with "openssl rand -hex 32"`,
    );

  let closing: Promise<void> | undefined;
  const close = () => (closing ??= connections.close(drainMs).then(() => server.close()));
  return { url, host: address, port: bound, close, [Symbol.asyncDispose]: close };
}

/** Resolves the host. Checks need the address, since a name may stand for any address. */
async function resolve(host: string, port: number): Promise<string> {
  try {
    return (await lookup(host)).address;
  } catch (error) {
    throw new CannotListenError(host, port, error);
  }
}

async function listen(http: Server, address: string, port: number): Promise<number> {
  try {
    http.listen(port, address);
    await once(http, "listening");
    return (http.address() as AddressInfo).port;
  } catch (error) {
    throw new CannotListenError(address, port, error);
  }
}

/** Sends a response in the API's shape for data that Node could not parse as a request. */
function answerUnreadable({ code }: NodeJS.ErrnoException, socket: Socket, connections: Connections): void {
  if (code === "ECONNRESET" || !socket.writable) return void socket.destroy();
  if (connections.endAfterAnswers(socket)) return;
  const [status, reason, failure]: [number, string, { code: string; message: string }] =
    code === "HPE_HEADER_OVERFLOW"
      ? [
          431,
          "Request Header Fields Too Large",
          { code: "HEADERS_TOO_LARGE", message: "The request's headers are too long." },
        ]
      : code === "ERR_HTTP_REQUEST_TIMEOUT"
        ? [408, "Request Timeout", { code: "REQUEST_TIMEOUT", message: "The request did not arrive in time." }]
        : [
            400,
            "Bad Request",
            { code: "MALFORMED_REQUEST", message: "The server cannot parse this as an HTTP request." },
          ];
  const body = JSON.stringify(failureBody(failure));
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\ncontent-type: application/json\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n` +
      `connection: close\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
