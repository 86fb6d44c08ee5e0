/** A job with the times when a process claimed, started and ended it, in ms of one clock. */
export interface HeldJob {
  readonly claimedAt: number;
  readonly startedAt: number;
  readonly endedAt: number;
}

export interface Starvation {
  /** The longest time that a process starved, in ms. */
  readonly longestMs: number;
  /** How often a process starved for longer than `fromMs`. */
  readonly times: number;
  /** The total time that all processes starved, in ms. */
  readonly totalMs: number;
}

/**
 * Measures how long processes starved. A process starves while it has a free slot and no job of its
 * own to run, and another process holds jobs that it has claimed and not started. Jobs that wait
 * unclaimed in the queue starve no process: any process is free to claim them.
 */
export function starvationOf(
  processes: readonly (readonly HeldJob[])[],
  { slots, fromMs }: { slots: number; fromMs: number },
): Starvation {
  interface Change {
    readonly atMs: number;
    readonly process: number;
    readonly held: number;
    readonly running: number;
  }
  const changes = processes.flatMap((jobs, process) =>
    jobs.flatMap(({ claimedAt, startedAt, endedAt }): Change[] => {
      // The database reports the claim and the process reports the start. The difference of their
      // clocks must not reverse the order.
      const heldFrom = Math.min(claimedAt, startedAt);
      return [
        { atMs: heldFrom, process, held: 1, running: 0 },
        { atMs: startedAt, process, held: -1, running: 1 },
        { atMs: endedAt, process, held: 0, running: -1 },
      ];
    }),
  );
  changes.sort((one, other) => one.atMs - other.atMs);

  const held = processes.map(() => 0);
  const running = processes.map(() => 0);
  const starvingFrom = processes.map((): number | undefined => undefined);
  let heldByAll = 0;
  let [longestMs, times, totalMs] = [0, 0, 0];
  for (let n = 0; n < changes.length;) {
    const { atMs } = changes[n]!;
    // Changes at the same moment count as one: there is no gap between a job that ends and the next
    // that starts.
    for (; n < changes.length && changes[n]!.atMs === atMs; n += 1) {
      const change = changes[n]!;
      held[change.process]! += change.held;
      running[change.process]! += change.running;
      heldByAll += change.held;
    }
    for (const [process, from] of starvingFrom.entries()) {
      const isStarving = running[process]! < slots && held[process] === 0 && heldByAll > 0;
      if (isStarving) starvingFrom[process] ??= atMs;
      else if (from !== undefined) {
        starvingFrom[process] = undefined;
        const lastedMs = atMs - from;
        longestMs = Math.max(longestMs, lastedMs);
        totalMs += lastedMs;
        if (lastedMs > fromMs) times += 1;
      }
    }
  }
  return { longestMs, times, totalMs };
}
