import type { Issue } from "./errors/index.ts";

/**
 * Limits in bytes of JSON text and levels of nesting (FM-37, SEC-19); the SQL functions hold the
 * same ones.
 */
export const limits = {
  payloadBytes: 262_144,
  resultBytes: 65_536,
  errorBytes: 16_384,
  keyBytes: 1_024,
  depth: 64,
  maxAttempts: 1_000,
};

/**
 * What keeps `value` from being stored as JSON and read back the same: functions, dates, NaN,
 * cycles, and the two kinds of string that PostgreSQL's jsonb refuses, with a NUL or half a
 * surrogate pair (FM-36). Empty when nothing does.
 */
export function jsonIssues(value: unknown): Issue[] {
  const issues: Issue[] = [];
  walk(value, [], issues);
  return issues;
}

function walk(value: unknown, path: (string | number)[], issues: Issue[]): void {
  if (issues.length >= 20) return; // enough to mend the rest by
  switch (typeof value) {
    case "string": {
      const flaw = stringFlaw(value);
      if (flaw) issues.push({ path, message: flaw });
      return;
    }
    case "number":
      if (!Number.isFinite(value)) issues.push({ path, message: `${value} is no JSON number` });
      return;
    case "boolean":
      return;
    case "object":
      break;
    default:
      issues.push({ path, message: `a ${typeof value} is no JSON value` });
      return;
  }
  if (value === null) return;
  if (path.length >= limits.depth) {
    issues.push({ path, message: `nested deeper than ${limits.depth} levels, or in a circle` });
    return;
  }
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) walk(item, [...path, index], issues);
    return;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (!isPlain(prototype)) {
    issues.push({
      path,
      message: `a ${value.constructor?.name ?? "class instance"} is no JSON value: convert it first`,
    });
    return;
  }
  for (const [name, item] of Object.entries(value)) {
    const flaw = stringFlaw(name);
    if (flaw) issues.push({ path: [...path, name], message: `its name: ${flaw}` });
    if (item !== undefined) walk(item, [...path, name], issues); // JSON leaves out undefined properties, as TypeScript expects
  }
}

/**
 * Whether it is the prototype of plain objects, in this realm or in another such as a vm context.
 */
function isPlain(prototype: unknown): boolean {
  if (prototype === null || prototype === Object.prototype) return true;
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype as object, "hasOwnProperty");
}

export function stringFlaw(text: string): string | undefined {
  if (text.includes("\0")) return "has a NUL character, which PostgreSQL cannot store";
  if (!text.isWellFormed()) return "has half a surrogate pair, which is no text";
  return undefined;
}

/**
 * `text` as PostgreSQL can store it, cut to `maxBytes` of UTF-8 with a mark: a failure can always
 * be written down (FM-36).
 */
export function storableText(text: string, maxBytes: number = limits.errorBytes): string {
  const clean = text.toWellFormed().replaceAll("\0", "\uFFFD");
  const bytes = Buffer.from(clean, "utf8");
  if (bytes.length <= maxBytes) return clean;
  const mark = `... [cut, ${bytes.length} bytes in all]`;
  // Half a character at the cut decodes to a replacement character: drop it.
  return (
    bytes
      .subarray(0, maxBytes - mark.length)
      .toString("utf8")
      .replace(/\uFFFD+$/, "") + mark
  );
}
