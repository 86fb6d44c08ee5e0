/** A job that a process claimed, started and ended, in ms of one clock. */
export interface HeldJob {
  readonly claimedAt: number;
  readonly startedAt: number;
  readonly endedAt: number;
}

export interface Starvation {
  /** The longest time that a process starved, in ms. */
  readonly longestMs: number;
  /** How often one did for longer than `fromMs`. */
  readonly times: number;
  /** How long all of them did together, in ms. */
  readonly totalMs: number;
}

/**
 * How long processes starved: each had a free slot and nothing of its own to run, while another held jobs that it had claimed
 * and not started. What waits in the queue, claimed by nobody, starves nobody: the process is free to claim it.
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
      // A claim is told by the database and a start by the process: what is between their clocks must not turn them round.
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
    // What happens at one moment happens together: a job that ends for the next to start leaves no gap.
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
