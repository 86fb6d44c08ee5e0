/**
 * Limits in bytes and levels of nesting (FM-37, SEC-19). The SQL functions hold the same ones. The
 * bytes of a payload are those of its text as PostgreSQL stores it.
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
 * `text` as PostgreSQL can store it, cut to `maxBytes` of UTF-8 with a mark: a failure can always
 * be written down (FM-36).
 */
export function storableText(text: string, maxBytes: number = limits.errorBytes): string {
  // A character has a byte at least. Only a text that may fit is copied whole.
  const head = text.length > maxBytes ? text.slice(0, maxBytes) : text;
  const clean = head.toWellFormed().replaceAll("\0", "\uFFFD");
  const bytes = Buffer.from(clean, "utf8");
  if (head.length === text.length && bytes.length <= maxBytes) return clean;
  const mark = `... [cut, ${Buffer.byteLength(text)} bytes in all]`;
  // Half a character at the cut decodes to a replacement character: drop it.
  return (
    bytes
      .subarray(0, maxBytes - mark.length)
      .toString("utf8")
      .replace(/\uFFFD{1,3}$/, "") + mark
  );
}

/**
 * Writes each character above `highest` as its number, `\u{2014}`: for a database whose encoding
 * lacks some (FM-86). In JSON text the backslash is doubled, so that it stays text when it is read.
 */
export function escapeBeyond(highest: number, text: string, { isJson = false }: { isJson?: boolean } = {}): string {
  const backslash = isJson ? "\\\\" : "\\";
  let escaped = "";
  for (const character of text) {
    const code = character.codePointAt(0)!;
    escaped += code > highest ? `${backslash}u{${code.toString(16)}}` : character;
  }
  return escaped;
}
