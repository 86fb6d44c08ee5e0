import { UsageError } from "./usage-error.ts";

/** Parses JSON; throws {@link UsageError}, which begins with `what`, if it is none, or has an integer that JavaScript would change. */
export function readJson(text: string, what: string): unknown {
  let changed: string | undefined;
  const watch = (_: string, value: unknown, context?: { source?: string }) => {
    const { source = "" } = context ?? {};
    if (/^-?\d+$/.test(source) && !Number.isSafeInteger(value)) changed = source;
    return value;
  };
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ""), watch as Parameters<typeof JSON.parse>[1]);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(
      `${what} is no JSON: ${reason}. In a shell, quote it: '{"userId":"u1"}'. Nothing was written.`,
    );
  }
  if (changed !== undefined) {
    throw new UsageError(
      `${what} has the number ${changed}, which JavaScript cannot hold exactly: write it as a string. Nothing was written.`,
    );
  }
  return value;
}
