/** Above this, setTimeout fires at once (FM-28); a sleeper that wakes early only looks once too often. */
const longestTimerMs = 2_147_483_647;

/** Resolves after `ms`, or as soon as `until` resolves or `signal` aborts. Never rejects. */
export function sleep(ms: number, { signal, until }: { signal?: AbortSignal; until?: Promise<void> } = {}): Promise<void> {
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

/** Answers what `work` does, or "late" if it has not done so after `ms`. */
export function orLate<Answer>(work: Promise<Answer>, ms: number): Promise<Answer | "late"> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve("late"), Math.min(ms, longestTimerMs));
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
