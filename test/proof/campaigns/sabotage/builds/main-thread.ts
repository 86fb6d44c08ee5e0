import { getEnvironmentData, isMainThread, setEnvironmentData } from "node:worker_threads";

/**
 * Name of the memory that the threads of a process share once its main thread has loaded this file.
 */
const memory = "hark.sabotage.main-thread";

/** When the main thread's event loop last turned, in ns of the clock that all threads share. */
const turnedAt = new BigInt64Array(
  (getEnvironmentData(memory) as SharedArrayBuffer | undefined) ?? new SharedArrayBuffer(8),
);

if (isMainThread) {
  setEnvironmentData(memory, turnedAt.buffer);
  const turn = () => void Atomics.store(turnedAt, 0, process.hrtime.bigint());
  turn();
  setInterval(turn, 100).unref();
}

/** How long ago the main thread's event loop last turned, in ms. Called in another thread. */
export const sinceMainThreadMs = (): number => Number(process.hrtime.bigint() - Atomics.load(turnedAt, 0)) / 1e6;
