import { setTimeout as sleep } from "node:timers/promises";

/** Milliseconds of the machine's monotonic clock: every process of the machine reads the same, so they can be compared. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Asks until the answer is yes, at most for `limitMs`. Answers whether it came. */
export async function eventually(
  isSo: () => boolean | Promise<boolean>,
  limitMs: number,
  everyMs = 5,
): Promise<boolean> {
  const deadline = nowMs() + limitMs;
  for (;;) {
    if (await isSo()) return true;
    if (nowMs() >= deadline) return false;
    await sleep(everyMs);
  }
}

/** The answer of `work`, or an error that names it once `limitMs` are over. */
export async function within<Answer>(limitMs: number, what: string, work: Promise<Answer>): Promise<Answer> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`${what} took longer than ${limitMs} ms`)), limitMs);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
