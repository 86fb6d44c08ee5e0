import { InvalidNameError } from "./errors/index.ts";

/**
 * Names of queues, job types and schedules: they travel in NOTIFY payloads, URLs, metrics and log
 * lines (SEC-08).
 */
const namePattern = /^[a-z0-9][a-z0-9_.:-]{0,62}$/;

/**
 * Returns `name` if it may name a queue, job type or schedule; throws {@link InvalidNameError} if
 * not.
 */
export function checkName(what: "queue" | "job type" | "schedule", name: unknown): string {
  if (typeof name === "string" && namePattern.test(name)) return name;
  throw new InvalidNameError(what, name);
}
