import { quote } from "./errors/hark-error.ts";
import { InvalidOptionsError } from "./errors/index.ts";

/**
 * A duration: a number of milliseconds, or a number with its unit as in "500ms", "30s", "5m", "1h",
 * "7d".
 */
export type Duration = number | `${number}${"ms" | "s" | "m" | "h" | "d"}`;

const unitMs: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Longest delay accepted anywhere, in ms: 100 years, the same bound as in hark.enqueue_many. */
export const longestDelayMs = 3_155_760_000_000;

/**
 * Returns a duration in ms; throws {@link InvalidOptionsError} naming `what` unless it is between 0
 * and 100 years.
 */
export function parseDuration(what: string, duration: Duration): number {
  let ms = Number.NaN;
  if (typeof duration === "number") ms = duration;
  else if (typeof duration === "string") {
    const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(duration) ?? [];
    if (amount && unit) ms = Number(amount) * (unitMs[unit] ?? Number.NaN);
  }
  if (ms >= 0 && ms <= longestDelayMs) return ms;
  throw new InvalidOptionsError(what, [
    {
      path: [],
      message: `${quote(duration)} is no duration: give milliseconds, or "30s", "5m", "1h", up to 100 years`,
    },
  ]);
}

/**
 * `timeMs`, moved by up to a share of `spread` in either direction, so that many waiters do not
 * act at once.
 */
export function jitter(timeMs: number, spread = 0.1, random: () => number = Math.random): number {
  return timeMs * (1 + spread * (2 * random() - 1));
}

/**
 * Above this, setTimeout fires at once (FM-28); a sleeper that wakes early only looks once too
 * often.
 */
export const longestTimerMs = 2_147_483_647;

/** Returns what `work` does, or "late" if it has not done so after `ms`. */
export function orLate<Answer>(work: Promise<Answer>, ms: number): Promise<Answer | "late"> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve("late"), Math.min(ms, longestTimerMs));
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/**
 * Returns what `work` does, or "late" if it has not done so after `ms`; throws the signal's reason
 * once it aborts. Whichever comes first, no timer and no listener is left behind.
 */
export function withDeadline<Answer>(work: Promise<Answer>, ms: number, signal: AbortSignal): Promise<Answer | "late"> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer | "late">();
  const abort = () => reject(signal.reason as Error);
  // One turn later, because a busy event loop runs its timers before it reads an answer that has
  // long arrived.
  const timer = setTimeout(() => setImmediate(() => resolve("late")), Math.min(Math.max(ms, 0), longestTimerMs));
  if (signal.aborted) abort();
  else signal.addEventListener("abort", abort);
  work.then(resolve, reject);
  return promise.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  });
}
