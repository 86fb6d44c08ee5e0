import type { MiddlewareHandler } from "hono";
import { RequestRefusedError } from "../errors.ts";

/**
 * Refuses changes that a browser sends for a page of another site (SEC-14). Programs send neither
 * header. Browsers too old for Sec-Fetch-Site send Origin.
 */
export function refuseCrossSite(): MiddlewareHandler {
  return async (c, next) => {
    if (c.req.method === "GET" || c.req.method === "HEAD") return next();
    const site = c.req.header("sec-fetch-site");
    const origin = c.req.header("origin");
    const isSame =
      site === undefined
        ? origin === undefined || hostOf(origin) === (c.req.header("host") ?? new URL(c.req.url).host).toLowerCase()
        : site === "same-origin" || site === "none";
    if (isSame) return next();
    throw new RequestRefusedError(
      "CROSS_SITE",
      "A page of another site may not change anything on this server. Nothing was written.",
    );
  };
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined; // "null" for sandboxed pages
}
