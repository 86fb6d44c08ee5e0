import type { Issue } from "@hark/core";
import { checkMaxAttempts, checkName, checkPriority, messageOf } from "@hark/core/internal";
import type { Handler } from "./run/implement.ts";

/**
 * Returns the handlers by their job types. Adds an issue for each that cannot run. Looks at what
 * they have and not at their class: a bundle may have a copy of implement() and defineJob().
 */
export function handlersByType(given: unknown, issues: Issue[]): Map<string, Handler> {
  const handlers = new Map<string, Handler>();
  if (!Array.isArray(given)) {
    issues.push({ path: ["handlers"], message: "must be an array of what implement(job, handler) returns" });
    return handlers;
  }
  for (const [place, handler] of given.entries()) {
    const path = ["handlers", place];
    const problem = problemOf(handler);
    if (problem !== undefined) {
      issues.push({ path, message: problem });
      continue;
    }
    const { type } = (handler as Handler).job;
    if (handlers.has(type)) issues.push({ path, message: `there are two handlers for ${type}` });
    handlers.set(type, handler as Handler);
  }
  if (given.length === 0)
    issues.push({ path: ["handlers"], message: "is empty: a worker without handlers would run nothing" });
  return handlers;
}

/** Why a value is no handler of a job type. Undefined if it is one. */
function problemOf(handler: unknown): string | undefined {
  const made = "make it with implement(job, handler)";
  if (typeof handler !== "object" || handler === null) return `is no handler: ${made}`;
  const { job, run } = handler as { job?: unknown; run?: unknown };
  if (typeof run !== "function") return `has no function that runs the job: ${made}`;
  if (typeof job !== "object" || job === null) return `has no job type: ${made}, with a job of defineJob()`;
  try {
    return jobProblem(job as Partial<Handler["job"]>);
  } catch (error) {
    return messageOf(error);
  }
}

function jobProblem(job: Partial<Handler["job"]>): string | undefined {
  checkName("job type", job.type);
  checkName("queue", job.queue);
  checkMaxAttempts(job.maxAttempts);
  checkPriority(job.priority);
  const { backoff, timeoutMs, payload, result } = job;
  const isBackoff = backoff && Object.values(backoff).every((part) => typeof part === "number");
  if (!isBackoff) return `the job type ${job.type} has no backoff: make it with defineJob()`;
  if (timeoutMs !== undefined && !(timeoutMs >= 0)) return `the timeout of ${job.type} is no number of ms`;
  for (const [name, schema] of Object.entries({ payload, result })) {
    const standard = schema as { "~standard"?: { validate?: unknown } } | undefined;
    if (schema !== undefined && typeof standard?.["~standard"]?.validate !== "function")
      return `the ${name} of ${job.type} is no Standard Schema, such as one of zod or valibot`;
  }
  return undefined;
}
