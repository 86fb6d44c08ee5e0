import type { Database } from "@hark/core";
import type { Connection } from "../connection.ts";

export interface Finding {
  readonly status: "ok" | "warn" | "fail";
  readonly message: string;
  /** What to do; not with "ok". */
  readonly advice?: string;
  /** For --json. */
  readonly facts?: Readonly<Record<string, unknown>>;
}

/**
 * What checks look at. Through a pooler or not, nothing here depends on a session, but for LISTEN,
 * which is tested.
 */
export interface Target {
  readonly connection: Connection;
  readonly db: Database;
}

export interface Check {
  readonly name: string;
  /** What must have been found in order first: without it the check is skipped. */
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

/** Milliseconds as a person says them. */
export function spoken(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}
