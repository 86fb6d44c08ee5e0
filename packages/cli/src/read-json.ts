import { UsageError } from "./usage-error.ts";

/**
 * Parses JSON. Throws {@link UsageError}, whose message begins with `what`, if it is invalid or has
 * an integer that JavaScript cannot hold.
 */
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
      `${what} is not JSON: ${reason}. In a shell, quote it: '{"userId":"u1"}'. Nothing was written.`,
    );
  }
  if (changed !== undefined) {
    throw new UsageError(
      `${what} has the number ${changed}, which JavaScript cannot hold exactly: write it as a string. Nothing was written.`,
    );
  }
  return value;
}
