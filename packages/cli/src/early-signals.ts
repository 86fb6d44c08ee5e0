/*
 * A worker that is told to stop before it has loaded has nothing to drain, so it ends well. This
 * file imports nothing: it runs before anything else is loaded.
 */

const end = () => process.exit(0);

/** From now on SIGTERM ends the process at once, with exit code 0. */
export function endOnSigterm(): void {
  process.on("SIGTERM", end);
}

/** The worker handles signals by itself from now on. */
export function leaveSigtermToWorker(): void {
  process.off("SIGTERM", end);
}
