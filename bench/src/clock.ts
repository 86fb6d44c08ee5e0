import { setTimeout as sleep } from "node:timers/promises";

/**
 * Milliseconds of the machine's monotonic clock. It is the same for every process of the machine,
 * so values can be compared.
 */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Calls `isTrue` until it returns true, for at most `limitMs`. Returns whether it did. */
export async function eventually(
  isTrue: () => boolean | Promise<boolean>,
  limitMs: number,
  everyMs = 5,
): Promise<boolean> {
  const deadline = nowMs() + limitMs;
  for (;;) {
    if (await isTrue()) return true;
    if (nowMs() >= deadline) return false;
    await sleep(everyMs);
  }
}

/** The result of `work`, or an error that names it after `limitMs`. */
export async function within<Answer>(limitMs: number, what: string, work: Promise<Answer>): Promise<Answer> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`${what} took longer than ${limitMs} ms`)), limitMs);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
