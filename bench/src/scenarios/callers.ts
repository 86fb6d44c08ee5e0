import { nowMs } from "../clock.ts";

/**
 * Runs callers in parallel. Each calls again once its last call has returned. They share one
 * sequence of numbers.
 */
async function inParallel(count: number, hasNext: () => boolean, call: () => Promise<unknown>): Promise<void> {
  const caller = async (): Promise<void> => {
    while (hasNext()) await call();
  };
  await Promise.all(Array.from({ length: count }, caller));
}

/** Makes the calls `from` to `to` (not included). */
export async function callEach(
  callers: number,
  { from = 0, to }: { from?: number; to: number },
  call: (n: number) => Promise<unknown>,
): Promise<void> {
  let next = from;
  await inParallel(
    callers,
    () => next < to,
    () => call(next++),
  );
}

/**
 * Makes calls, numbered from `from` on, for `forMs`. Returns how many there were, and how many per
 * second.
 */
export async function callFor(
  callers: number,
  { from = 0, forMs }: { from?: number; forMs: number },
  call: (n: number) => Promise<unknown>,
): Promise<{ sent: number; perSecond: number }> {
  const startedAt = nowMs();
  let next = from;
  await inParallel(
    callers,
    () => nowMs() < startedAt + forMs,
    () => call(next++),
  );
  const sent = next - from;
  return { sent, perSecond: sent / ((nowMs() - startedAt) / 1_000) };
}
