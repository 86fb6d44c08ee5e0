import { UsageError } from "./usage-error.ts";

/**
 * Returns an integer flag's value, or undefined if it was not given. Throws {@link UsageError} if
 * it is not an integer in the range.
 */
export function integerFlag(
  name: string,
  text: string | undefined,
  { least, most }: { least: number; most: number },
): number | undefined {
  if (text === undefined) return undefined;
  const value = /^[+-]?\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new UsageError(`--${name} must be an integer from ${least} to ${most}, not "${text}".`);
}
