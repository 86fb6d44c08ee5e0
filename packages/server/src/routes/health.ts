import type { Database } from "@hark/core";
import { isHarkError, schemaVersionOn } from "@hark/core/internal";
import { Hono } from "hono";
import { readDeadlineMs, within } from "../deadline.ts";
import { failureOf } from "../failures.ts";

interface Readiness {
  isReady: boolean;
  reasons: string[];
}

/**
 * How long a result is reused, in ms. Anyone may ask, so a request must not always cost a query.
 */
const freshMs = 1_000;

/**
 * Adds /livez and /readyz. They need no credential, so they return only yes or no, and reason
 * codes.
 */
export function healthRoutes(database: Database): Hono {
  const routes = new Hono();
  let latest: { at: number; readiness: Promise<Readiness> } | undefined;

  // Whether this process responds.
  routes.get("/livez", (c) => c.json({ isAlive: true, reasons: [] }));
  // Whether it can do its work: 503 with reason codes while it cannot reach the database, or the
  // schema does not fit.
  routes.get("/readyz", async (c) => {
    if (!latest || performance.now() - latest.at > freshMs)
      latest = { at: performance.now(), readiness: readiness(database) };
    const answer = await latest.readiness;
    return c.json(answer, answer.isReady ? 200 : 503);
  });
  return routes;
}

async function readiness(database: Database): Promise<Readiness> {
  try {
    const { found, pending } = await within(readDeadlineMs, schemaVersionOn(database));
    if (pending.length === 0) return { isReady: true, reasons: [] };
    return { isReady: false, reasons: [found === null ? "schema_missing" : "schema_outdated"] };
  } catch (error) {
    return { isReady: false, reasons: [reasonOf(error)] };
  }
}

function reasonOf(error: unknown): string {
  if (isHarkError(error, "SCHEMA_VERSION"))
    return error.facts.changed === undefined ? "schema_newer" : "schema_changed";
  const { code } = failureOf(error);
  return code.startsWith("DATABASE_") ? code.toLowerCase() : "schema_unreadable";
}
