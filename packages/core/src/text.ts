/*
 * Text from strangers, made fit for a log, a terminal or an answer (SEC-25). This file imports
 * nothing, so that the command line can use it before anything else is loaded.
 */

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

/** A text with the passwords of the URLs in it replaced by "***". */
export function maskPasswords(text: string): string {
  return text.replace(/(\w+:\/\/[^\s:@/]*):[^\s/]*@/g, "$1:***@");
}

/** Parameters of a connection string that are secrets, or lead to one. */
const secretName = /pass|pwd|secret|token|key/i;

/**
 * A setting that is a URL, with every secret in it replaced by "***": the password, also as a
 * parameter.
 */
export function maskUrl(text: string): string {
  if (!URL.canParse(text)) return "***"; // whatever it is, it may hold a password
  const url = new URL(text);
  if (url.password !== "") url.password = "***";
  for (const name of new Set(url.searchParams.keys())) {
    if (secretName.test(name)) url.searchParams.set(name, "***");
  }
  url.hash = "";
  return url.href;
}

/** A value as JSON, with bigints as text: ids go beyond what a JSON reader's numbers hold. */
export function jsonText(value: unknown, indent?: number): string | undefined {
  const spelled = (_: string, part: unknown) => (typeof part === "bigint" ? String(part) : part);
  return JSON.stringify(value, spelled, indent);
}
