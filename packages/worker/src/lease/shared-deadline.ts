/**
 * Until when the process's lease holds, in memory that the main thread and the lease thread share.
 * News of a lease are told by messages; but a process that stood still for longer than its lease
 * may read the answer to a claim before the message that the lease is lost.
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

  /** The lease of a registration holds for so long from now, in ms; not any more if that is 0. */
  set(registration: number, forMs: number): void {
    Atomics.store(this.#words, 0, 0n); // no word of the former lease's for the new one
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
