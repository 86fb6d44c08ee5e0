import { InvalidOptionsError, type Logger } from "@hark/core";
import { watchStarter } from "./starter-watch.ts";

export interface Stoppable {
  /** Drains, and `"now"` aborts at once. May be called again to hurry. */
  stop(how?: "drain" | "now"): Promise<void>;
  /**
   * Resolves once it was stopped, by a signal or by code. `isComplete` is false if something did
   * not end in time, and may keep the process alive.
   */
  readonly stopped?: Promise<{ isComplete: boolean }>;
}

const exitCodes = { SIGINT: 130, SIGTERM: 143 } as const;

/**
 * How long the process may go on after a signal has stopped it and something did not end, in ms.
 * The sender of the signal waits for the end of the process.
 */
const afterlifeMs = 500;

/**
 * Resolves once `stoppable` was stopped, by a signal or by a call of its stop(). The first SIGTERM
 * or SIGINT drains, a second aborts what runs, a third ends the process at once. A signal may come
 * while it starts: pass the promise of its start, so that a failed start ends the wait and is
 * thrown. After a signal it is not thrown, since nothing is to start any more.
 */
export async function runUntilSignalled(
  stoppable: Stoppable,
  logger: Logger,
  starting: Promise<void> = Promise.resolve(),
): Promise<void> {
  if (typeof (stoppable as Partial<Stoppable> | undefined)?.stop !== "function") {
    const message = "must have stop(), as a worker or a JobManager has";
    throw new InvalidOptionsError("runUntilSignalled", [{ path: ["stoppable"], message }]);
  }
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
  const endWatch = watchStarter(() => {
    logger.warn({}, "the npm that started this process has ended: stopping as by SIGTERM. Start it without npm");
    onSignal("SIGTERM");
  });
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  void stoppable.stopped?.then(({ isComplete }) => {
    if (signals > 0 && !isComplete) setTimeout(() => process.exit(), afterlifeMs).unref();
    return stopped.resolve();
  });
  try {
    const started = starting.catch((error: unknown) => {
      if (signals === 0) throw error;
      logger.info({ error }, "it was stopped before it could start");
    });
    await Promise.race([started.then(() => stopped.promise), stopped.promise]);
  } finally {
    endWatch();
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  }
}
