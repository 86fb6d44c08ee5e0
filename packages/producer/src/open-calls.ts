import { ProducerBusyError } from "@hark/core/internal";

/** Most calls at once, and most bytes of payload in them. */
const mostCalls = 100_000;
const mostBytes = 64 * 1_024 * 1_024;

/**
 * Most calls while the database stands still: no call had an answer for so many ms. A call takes
 * about 7 KB beside its payload, measured.
 */
const mostCallsStill = 10_000;
const stillAfterMs = 5_000;

/**
 * Bounds the calls of a producer that wait for the database, so that one which does not answer
 * costs a bounded amount of memory (FM-68).
 */
export class OpenCalls {
  #calls = 0;
  #bytes = 0;
  #answeredAt = 0;

  /**
   * Does `work` for a call with so many bytes of payload.
   * @throws ProducerBusyError if there is no room for it
   */
  async during<Answer>(bytes: number, work: () => Promise<Answer>): Promise<Answer> {
    if (this.#calls === 0) this.#answeredAt = performance.now();
    const isStill = this.#calls >= mostCallsStill && performance.now() - this.#answeredAt > stillAfterMs;
    const isFull = this.#calls > 0 && (this.#calls >= mostCalls || this.#bytes + bytes > mostBytes);
    if (isStill || isFull) throw new ProducerBusyError(this.#calls, this.#bytes);
    this.#calls += 1;
    this.#bytes += bytes;
    try {
      const answer = await work();
      this.#answeredAt = performance.now();
      return answer;
    } finally {
      this.#calls -= 1;
      this.#bytes -= bytes;
    }
  }
}
