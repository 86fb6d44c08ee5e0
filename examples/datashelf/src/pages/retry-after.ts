/**
 * The longest wait that a site may ask for, in ms: ten minutes. A site that asks for a day would
 * block its pages for too long.
 */
export const maxRetryAfterMs = 600_000;

/**
 * Returns how long a Retry-After header asks to wait, in ms from `nowMs`, at most `maxMs`.
 * Undefined if it is missing or malformed. It contains whole seconds or an HTTP date (RFC 9110,
 * 10.2.3). A date in the past means now.
 */
export function parseRetryAfter(
  value: string | null,
  {
    nowMs,
    maxMs = maxRetryAfterMs,
  }: {
    nowMs: number;
    maxMs?: number;
  },
): number | undefined {
  const text = value?.trim() ?? "";
  if (/^\d+$/.test(text)) return Math.min(Number(text) * 1000, maxMs);

  const dueMs = parseHttpDate(text);
  return dueMs === undefined ? undefined : Math.min(Math.max(dueMs - nowMs, 0), maxMs);
}

/**
 * Returns an HTTP date in ms since 1970, in any of its three forms (RFC 9110, 5.6.7). All begin
 * with a weekday: without that check, Date.parse would read "-5" as a day in May 2001. The oldest
 * form names no zone, and means GMT.
 */
export function parseHttpDate(text: string): number | undefined {
  if (!/^(mon|tue|wed|thu|fri|sat|sun)[a-z]*,? /i.test(text)) return undefined;
  const ms = Date.parse(/gmt$/i.test(text) ? text : `${text} GMT`);
  return Number.isNaN(ms) ? undefined : ms;
}
