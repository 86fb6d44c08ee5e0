/**
 * The time until which the process's lease holds, in memory that the main thread and the lease
 * thread share. Messages also report a lost lease. But a process that stood still for longer than
 * its lease may read the answer to a claim before that message.
 */
export class SharedDeadline {
  readonly memory: SharedArrayBuffer;
  /**
   * [0]: until when, in ns of the clock that all threads share. [1]: the number of the
   * registration.
   */
  readonly #words: BigInt64Array;

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(16)) {
    this.memory = memory;
    this.#words = new BigInt64Array(memory);
  }

  /** Sets how long the lease of a registration holds from now, in ms. 0 ends it. */
  set(registration: number, forMs: number): void {
    Atomics.store(this.#words, 0, 0n); // the former lease's deadline must not count for the new one
    Atomics.store(this.#words, 1, BigInt(registration));
    Atomics.store(this.#words, 0, process.hrtime.bigint() + BigInt(Math.trunc(forMs * 1e6)));
  }

  /**
   * For how long from now the lease of that registration holds, in ms; 0 or less if it does not.
   */
  leftMs(registration: number): number {
    const until = Atomics.load(this.#words, 0);
    if (Atomics.load(this.#words, 1) !== BigInt(registration)) return 0;
    return Number(until - process.hrtime.bigint()) / 1e6;
  }
}
