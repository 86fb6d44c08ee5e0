/** When a process ran a job, in ms. */
export interface Span {
  readonly startedAt: number;
  readonly endedAt: number;
}

/**
 * The longest time, in ms, that one of the processes ran no job although some job had not started yet anywhere: it may have
 * waited in the queue or, claimed, in the memory of another process. Counted from the first start of any job.
 */
export function longestIdleness(processes: readonly (readonly Span[])[]): number {
  const starts = processes.flat().map(({ startedAt }) => startedAt);
  const firstStart = Math.min(...starts);
  const lastStart = Math.max(...starts);
  let longest = 0;
  for (const spans of processes) {
    let busyUntil = firstStart;
    for (const span of spans.toSorted((one, other) => one.startedAt - other.startedAt)) {
      longest = Math.max(longest, span.startedAt - busyUntil);
      busyUntil = Math.max(busyUntil, span.endedAt);
    }
    longest = Math.max(longest, lastStart - busyUntil);
  }
  return longest;
}
