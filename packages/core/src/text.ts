/*
 * Text from strangers, made fit for a log, a terminal or an answer (SEC-25). This file imports
 * only what imports nothing, so that the command line can use it before anything else is loaded.
 */

export { isSecretName, maskSecrets, maskUrl } from "./mask.ts";
export { nearest } from "./nearest.ts";

/** The first line that has anything on it. */
export function firstLine(text: string): string {
  return /^\s*([^\r\n\u2028\u2029]*)/.exec(text)?.[1] ?? "";
}

/**
 * Escapes everything that a terminal or a log would obey: control characters, line separators, and
 * the marks that turn the direction of text.
 */
export function escapeControls(text: string): string {
  return text.replace(
    /[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu,
    (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** A value as JSON, with bigints as text: ids go beyond what a JSON reader's numbers hold. */
export function jsonText(value: unknown, indent?: number): string | undefined {
  const spelled = (_: string, part: unknown) => (typeof part === "bigint" ? String(part) : part);
  return JSON.stringify(value, spelled, indent);
}
