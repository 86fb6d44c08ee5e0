import type { MiddlewareHandler } from "hono";
import { RequestRefusedError } from "../errors.ts";

/** The names of this machine for itself. */
export const loopbackNames = ["localhost", "127.0.0.1", "[::1]"];

/**
 * Refuses requests for any other host, so that a page whose name was re-bound to this address
 * reaches nothing (SEC-15). A name without a port is allowed with every port.
 */
export function checkHost(allowed: readonly string[]): MiddlewareHandler {
  const names = new Set(allowed.map((name) => name.toLowerCase()));
  return async (c, next) => {
    // Both: a request line may name one host and the header another.
    for (const host of [new URL(c.req.url).host, c.req.header("host")]) {
      if (host !== undefined && !isAllowed(host.toLowerCase(), names)) {
        throw new RequestRefusedError(
          "HOST_NOT_ALLOWED",
          "This server does not answer for that host: call it by a name that it allows.",
        );
      }
    }
    return next();
  };
}

function isAllowed(host: string, names: ReadonlySet<string>): boolean {
  const [, name = "", port = ""] = /^(\[[^\]]*\]|[^:]*)(:\d+)?$/.exec(host) ?? [];
  if (!name) return false;
  // URLs leave out the port of their scheme.
  return names.has(name) || names.has(host) || (port === "" && (names.has(`${name}:80`) || names.has(`${name}:443`)));
}
