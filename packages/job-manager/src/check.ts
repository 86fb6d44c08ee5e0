import { InvalidOptionsError, type Issue } from "@hark/core";
import { encodeJson } from "@hark/core/internal";
import { z } from "zod";

/**
 * Returns `given` as `schema` parses it. Throws {@link InvalidOptionsError} with every issue if it
 * is invalid.
 */
export function check<Schema extends z.ZodObject>(what: string, schema: Schema, given: unknown): z.output<Schema> {
  const { data, issues } = tryCheck(schema, given);
  if (data === undefined) throw new InvalidOptionsError(what, issues);
  return data;
}

/** Returns `given` as `schema` parses it, or every issue if it is invalid. */
export function tryCheck<Schema extends z.ZodObject>(
  schema: Schema,
  given: unknown,
): { data: z.output<Schema> | undefined; issues: Issue[] } {
  const checked = schema.safeParse(given);
  if (checked.success) return { data: checked.data, issues: [] };
  const issues = checked.error.issues.flatMap((issue): Issue[] =>
    issue.code === "unrecognized_keys"
      ? issue.keys.map((key) => ({
          path: [key],
          message: `is unknown: the known ones are ${Object.keys(schema.shape).join(", ")}`,
        }))
      : [{ path: issue.path.map((step) => (typeof step === "symbol" ? String(step) : step)), message: issue.message }],
  );
  return { data: undefined, issues };
}

/** Returns `value` for a message, as JSON if possible, at most about 60 characters. */
export function shown(value: unknown): string {
  if (typeof value === "number") return String(value);
  const { text, issues } = encodeJson(value, 250); // no more than that, or a value that shares its items has no end
  if (issues.length > 0) return value === undefined ? "undefined" : `a ${typeof value}`; // a function or a bigint
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}

/** A whole number in a range. `unit` says what it counts. */
export const wholeNumber = (least: number, most: number, unit: string) =>
  z.custom<number>((value) => Number.isInteger(value) && (value as number) >= least && (value as number) <= most, {
    error: ({ input }) => `must be a whole number from ${least} to ${most} (${unit}), not ${shown(input)}`,
  });

const largestId = 2n ** 63n - 1n;

/** Returns true for a job's id as text, the form that it has in JSON. */
export function isJobId(id: unknown): id is string {
  return typeof id === "string" && /^[1-9]\d{0,18}$/.test(id) && BigInt(id) <= largestId;
}

export const dayMs = 86_400_000;
