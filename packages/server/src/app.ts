import { Hono } from "hono";
import { methodNotAllowed } from "hono/method-not-allowed";
import { RequestRefusedError } from "./errors.ts";
import type { Env } from "./middleware/access.ts";
import { authorizeBy, type Credentials } from "./middleware/authorize.ts";
import { refuseCrossSite } from "./middleware/cross-site.ts";
import { answerFailure } from "./middleware/errors.ts";
import { secureHeaders } from "./middleware/headers.ts";
import { checkHost } from "./middleware/host.ts";
import { limitRate, type RateLimit, RateLimiter } from "./middleware/rate-limit.ts";
import { healthRoutes } from "./routes/health.ts";
import type { RouteParts, Routes } from "./routes/routes.ts";

export interface AppParts extends RouteParts {
  readonly credentials: Credentials;
  /** Hosts that requests may name; undefined allows every host. */
  readonly allowedHosts: readonly string[] | undefined;
  /** Limit for each caller. Undefined for no limit. */
  readonly rateLimit: RateLimit | undefined;
  readonly routes: readonly Routes[];
}

/**
 * Builds the whole API, in the order that a request passes through it. Parts before `authorizeBy`
 * need no credential.
 */
export function buildApp({ credentials, allowedHosts, rateLimit, routes, ...parts }: AppParts): Hono<Env> {
  const app = new Hono<Env>();
  const refuse = (error: unknown, c: { req: { method: string; path: string } }) =>
    answerFailure(error, c.req, parts.logger);
  app.onError(refuse);
  app.notFound((c) => refuse(new RequestRefusedError("NOT_FOUND", "There is nothing at this path."), c));

  app.use(secureHeaders());
  if (allowedHosts) app.use(checkHost(allowedHosts));
  app.use(
    methodNotAllowed({
      app,
      onMethodNotAllowed: (c, methods) =>
        refuse(
          new RequestRefusedError("METHOD_NOT_ALLOWED", `This path allows only ${methods.join(", ")}.`, {
            headers: { allow: methods.join(", ") },
          }),
          c,
        ),
    }),
  );
  app.route("/", healthRoutes(parts.database));

  app.use(refuseCrossSite());
  app.use(authorizeBy(credentials));
  if (rateLimit) app.use(limitRate(new RateLimiter(rateLimit)));
  for (const mounted of routes) {
    const group = new Hono<Env>();
    mounted.add(group, parts);
    app.route(mounted.path, group);
  }
  return app;
}
