import { createHash } from "node:crypto";

const names = new Map<string, string>();

/**
 * The name that a statement is prepared under. A pool may be shared with the application, and with
 * another version of Hark: a session has one name space, so the name tells whose the statement is,
 * and its text (FM-67).
 */
export function preparedName(name: string, text: string): string {
  let prepared = names.get(text);
  if (prepared === undefined) {
    const version = createHash("sha256").update(text).digest("hex").slice(0, 8);
    prepared = `hark_${name.slice(0, 40)}_${version}`; // at most 63 bytes, or PostgreSQL cuts it
    names.set(text, prepared);
  }
  return prepared;
}
