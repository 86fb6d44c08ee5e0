import type { Logger } from "@hark/core";

export interface Stoppable {
  /** Drains, and `"now"` aborts at once. May be called again to hurry. */
  stop(how?: "drain" | "now"): Promise<void>;
}

const exitCodes = { SIGINT: 130, SIGTERM: 143 } as const;

/**
 * Resolves once a signal has stopped `stoppable`: the first SIGTERM or SIGINT drains, a second
 * aborts what runs, a third ends the process at once. A signal may come while it starts. Pass the
 * promise of its start, so that a failed start ends the wait and is thrown.
 */
export async function runUntilSignalled(
  stoppable: Stoppable,
  logger: Logger,
  starting: Promise<void> = Promise.resolve(),
): Promise<void> {
  const stopped = Promise.withResolvers<void>();
  let signals = 0;
  const onSignal = (signal: keyof typeof exitCodes) => {
    signals += 1;
    if (signals >= 3) process.exit(exitCodes[signal]);
    logger.info(
      { signal, signals },
      signals === 1 ? "stopping: running jobs may end" : "stopping now: running jobs are aborted",
    );
    stoppable.stop(signals === 1 ? "drain" : "now").then(stopped.resolve, stopped.reject);
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  try {
    await Promise.all([starting, stopped.promise]);
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  }
}
