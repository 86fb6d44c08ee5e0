/**
 * The calls under way on a connection pool, so that closing it waits for them: a pool that ends
 * serves nobody who still waits for a connection (pg-pool's connect() and end()).
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

  /** Resolves once every call that was under way has ended, however it ended. */
  async ended(): Promise<void> {
    await Promise.allSettled(this.#running);
  }
}
