import { nowMs } from "../clock.ts";

/** Callers side by side, each of which calls again once its call before is answered, with numbers that they share. */
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

/** Makes calls, numbered on from `from`, for `forMs`. Answers how many they were, and how many of them in a second. */
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
