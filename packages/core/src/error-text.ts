import { storableText } from "./json.ts";

/**
 * What a thrown value says, with its stack and causes, as storable text of at most 16 KiB. Never
 * throws (FM-36).
 */
export function errorText(thrown: unknown): string {
  try {
    return storableText(describe(thrown, 0));
  } catch {
    return "an error that cannot be read: its name, message or stack is no text"; // a getter that throws, a symbol for a name
  }
}

function describe(thrown: unknown, depth: number): string {
  if (!(thrown instanceof Error)) return typeof thrown === "string" ? thrown : `thrown: ${safeString(thrown)}`;
  // Shown through names and messages, since a stack may lack both when they were changed after it
  // was taken.
  const head = `${thrown.name}: ${thrown.message}`;
  const frames = thrown.stack?.split("\n").filter((line) => /^\s+at /.test(line)) ?? [];
  const cause = thrown.cause === undefined || depth >= 4 ? "" : `\ncaused by ${describe(thrown.cause, depth + 1)}`;
  return [head, ...frames].join("\n") + cause;
}

function safeString(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return Object.prototype.toString.call(value); // a cycle, a bigint or a toJSON that throws
  }
}
