import type { Database, Logger } from "@hark/core";
import type { Hono } from "hono";
import type { Env } from "../middleware/access.ts";

/** What the server passes to the routes that it mounts. */
export interface RouteParts {
  readonly database: Database;
  readonly logger: Logger;
  /** The most bytes that a request's body may have. */
  readonly maxBodyBytes: number;
}

/**
 * Routes of another package, mounted below `path`. The server checks the credential and the rate
 * limit first. Each route declares its scope with needs().
 */
export interface Routes {
  readonly path: string;
  add(group: Hono<Env>, parts: RouteParts): void;
}
