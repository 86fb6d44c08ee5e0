/** From one look to the next, in ms. */
const everyMs = 1_000;

/**
 * Calls `gone` once if the process was started through npm, and the one that started it has ended.
 * A SIGTERM to `npm start` or `npx` ends npm and its shell, but never reaches the process itself
 * (npm 11), which would go on beside its replacement. Returns a function that ends the watch.
 */
export function watchStarter(gone: () => void): () => void {
  const starter = process.ppid;
  if (process.env.npm_command === undefined && process.env.npm_lifecycle_event === undefined) return () => {};
  const timer = setInterval(() => {
    if (process.ppid === starter) return;
    clearInterval(timer);
    gone();
  }, everyMs);
  timer.unref();
  return () => clearInterval(timer);
}
