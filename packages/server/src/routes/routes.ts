import type { Database, Logger } from "@hark/core";
import type { Hono } from "hono";
import type { Env } from "../middleware/access.ts";

/** What the server gives to the routes that it mounts. */
export interface RouteParts {
  readonly database: Database;
  readonly logger: Logger;
  /** The most bytes that a request's body may have. */
  readonly maxBodyBytes: number;
}

/**
 * Routes of another package, mounted below `path`. They stand behind the credential and the rate
 * limit. Each route declares the scope that it needs with needs().
 */
export interface Routes {
  readonly path: string;
  add(group: Hono<Env>, parts: RouteParts): void;
}
