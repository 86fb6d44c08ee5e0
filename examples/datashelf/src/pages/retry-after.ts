/** The longest wait that a site may ask for, in ms: ten minutes. One that asks for a day would park its pages for ever. */
export const maxRetryAfterMs = 600_000;

/**
 * Answers how long a Retry-After header asks to wait, in ms from `nowMs`, at most `maxMs`; undefined where it is absent
 * or makes no sense. It holds whole seconds or an HTTP date (RFC 9110, 10.2.3); a date that has passed means now.
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
 * Answers an HTTP date in ms since 1970, in any of its three forms (RFC 9110, 5.6.7). All begin with a weekday:
 * without asking for it, Date.parse would take "-5" for a May of 2001. The oldest form names no zone, and means GMT.
 */
export function parseHttpDate(text: string): number | undefined {
  if (!/^(mon|tue|wed|thu|fri|sat|sun)[a-z]*,? /i.test(text)) return undefined;
  const ms = Date.parse(/gmt$/i.test(text) ? text : `${text} GMT`);
  return Number.isNaN(ms) ? undefined : ms;
}
