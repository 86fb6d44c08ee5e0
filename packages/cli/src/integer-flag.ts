import { UsageError } from "./usage-error.ts";

/** Answers an integer flag's value, undefined if it was not given; throws {@link UsageError} for anything else than such an integer. */
export function integerFlag(
  name: string,
  text: string | undefined,
  { least, most }: { least: number; most: number },
): number | undefined {
  if (text === undefined) return undefined;
  const value = /^[+-]?\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new UsageError(`--${name} wants an integer from ${least} to ${most}, not "${text}".`);
}
