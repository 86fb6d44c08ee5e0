import { type JobDefinition, type Logger, type Outcome, UnrecoverableError } from "@hark/core";
import { type Ending, limits, storedJson } from "@hark/core/internal";

type Completed = Extract<Ending, { kind: "completed" }>;
type Checked = Completed | Extract<Ending, { kind: "fatal" }>;

/** The types that were warned of, by the logger that heard it: a thousand jobs need one line. */
const warned = new WeakMap<Logger, Set<string>>();

/**
 * Returns the ending of an attempt whose handler returned `result`.
 *
 * Without a result schema the job is completed whatever was returned: its work is done, and what is
 * kept of the result is an extra. JSON's version of it is kept, or nothing, with one warning for
 * each job type (FM-71).
 *
 * With a schema, what the schema makes of the result is kept. A result that does not fit it, or
 * that cannot be kept, is fatal: see docs/decisions/0036.
 */
export async function checkResult(job: JobDefinition, result: unknown, logger: Logger): Promise<Checked> {
  if (!job.result) return unchecked(job.type, result, logger);
  const checked = await job.result["~standard"].validate(result);
  if (typeof checked !== "object" || checked === null)
    return refuse(job.type, "fails its schema, which answers neither a value nor issues");
  if (checked.issues) {
    const issues: readonly unknown[] = Array.isArray(checked.issues) ? checked.issues.slice(0, 20) : [];
    const messages = issues.map((issue) => {
      const message: unknown = (issue as { message?: unknown } | null)?.message;
      return typeof message === "string" ? message : "no message";
    });
    return refuse(job.type, `fails its schema: ${messages.join("; ")}`);
  }
  if (checked.value === undefined) return { kind: "completed", resultJson: null };
  const { text, lost } = storedJson(checked.value, limits.resultBytes);
  return text === undefined ? refuse(job.type, `cannot be kept: ${lost}`) : { kind: "completed", resultJson: text };
}

/** The same for a job type without a result schema. */
export function unchecked(type: string, result: unknown, logger: Logger): Completed {
  if (result === undefined) return { kind: "completed", resultJson: null };
  const { text, lost } = storedJson(result, limits.resultBytes);
  if (lost !== undefined) warnOnce(type, lost, text === undefined, logger);
  return { kind: "completed", resultJson: text ?? null };
}

/** The outcome of a job without a result schema whose caller has done its work. */
export function completedWith(type: string, result: unknown, logger: Logger): Outcome {
  const { resultJson } = unchecked(type, result, logger);
  return { state: "completed", resultJson };
}

function warnOnce(type: string, lost: string, isNothingKept: boolean, logger: Logger): void {
  const types = warned.get(logger) ?? new Set();
  warned.set(logger, types);
  if (types.has(type)) return;
  types.add(type);
  const kept = isNothingKept ? "nothing of it is kept" : "what JSON makes of it is kept";
  logger.warn(
    { type, reason: lost },
    `a handler returned what is not JSON: ${kept}, and its jobs are completed. Return JSON or nothing, or give the type a result ` +
      `schema. This is said once a type`,
  );
}

const refuse = (type: string, message: string): Checked => ({
  kind: "fatal",
  reason: "unrecoverable",
  error: new UnrecoverableError(`the result of ${type} ${message}`),
});
