import type { MiddlewareHandler } from "hono";
import { RequestRefusedError } from "../errors.ts";

/** Host names that mean this machine. */
export const loopbackNames = ["localhost", "127.0.0.1", "[::1]"];

/**
 * Refuses requests for hosts that are not allowed, against DNS rebinding: a page whose name
 * resolves to this address (SEC-15). A name without a port is allowed with every port.
 */
export function checkHost(allowed: readonly string[]): MiddlewareHandler {
  const names = new Set(allowed.map((name) => name.toLowerCase()));
  return async (c, next) => {
    // Checks both, because the request line may name one host and the header another.
    for (const host of [new URL(c.req.url).host, c.req.header("host")]) {
      if (host !== undefined && !isAllowed(host.toLowerCase(), names)) {
        throw new RequestRefusedError(
          "HOST_NOT_ALLOWED",
          "This server does not serve that host. Call it by a name that it allows.",
        );
      }
    }
    return next();
  };
}

function isAllowed(host: string, names: ReadonlySet<string>): boolean {
  const [, name = "", port = ""] = /^(\[[^\]]*\]|[^:]*)(:\d+)?$/.exec(host) ?? [];
  if (!name) return false;
  // URLs leave out the default port of their scheme.
  return names.has(name) || names.has(host) || (port === "" && (names.has(`${name}:80`) || names.has(`${name}:443`)));
}
