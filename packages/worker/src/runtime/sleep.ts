import { longestTimerMs } from "@hark/core/internal";

/** Resolves after `ms`, or as soon as `until` resolves or `signal` aborts. Never rejects. */
export function sleep(
  ms: number,
  { signal, until }: { signal?: AbortSignal; until?: Promise<void> } = {},
): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const wake = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", wake);
      resolve();
    };
    const timer = setTimeout(wake, Math.min(Math.max(ms, 0), longestTimerMs));
    signal?.addEventListener("abort", wake);
    void until?.then(wake);
  });
}
