import type { Database } from "@hark/core";
import type { Connection } from "../connection.ts";

export interface Finding {
  readonly status: "ok" | "warn" | "fail";
  readonly message: string;
  /** What to do. Not set with "ok". */
  readonly advice?: string;
  /** Printed only with --json. */
  readonly facts?: Readonly<Record<string, unknown>>;
}

/**
 * What the checks examine. Only the LISTEN checks depend on a session, so all others work through a
 * pooler.
 */
export interface Target {
  readonly connection: Connection;
  readonly db: Database;
}

export interface Check {
  readonly name: string;
  /** The check that must have passed before. Otherwise this one is skipped. */
  readonly needs: "nothing" | "connection" | "schema";
  run(target: Target): Promise<Finding>;
}

export const ok = (message: string, facts?: Finding["facts"]): Finding => ({
  status: "ok",
  message,
  ...(facts && { facts }),
});

export const warn = (message: string, advice: string, facts?: Finding["facts"]): Finding => ({
  status: "warn",
  message,
  advice,
  ...(facts && { facts }),
});

export const fail = (message: string, advice: string, facts?: Finding["facts"]): Finding => ({
  status: "fail",
  message,
  advice,
  ...(facts && { facts }),
});

/** Returns a duration in ms as text with a fitting unit, such as "5 min". */
export function spoken(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}
