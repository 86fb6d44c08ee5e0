/**
 * Tracks the running calls on a connection pool, so that closing waits for them. A pool that ends
 * no longer serves calls that wait for a connection (pg-pool's connect() and end()).
 */
export class Calls {
  readonly #running = new Set<Promise<unknown>>();

  run<Answer>(work: () => Promise<Answer>): Promise<Answer> {
    const call = work();
    this.#running.add(call);
    const forget = () => void this.#running.delete(call);
    call.then(forget, forget);
    return call;
  }

  /** Resolves once every running call has ended, with a result or an error. */
  async ended(): Promise<void> {
    await Promise.allSettled(this.#running);
  }
}
