/**
 * An event of a part. Parts that are built later subscribe to it, so that the part does not depend
 * on them. See build-worker.ts. Listeners run at once, in the order in which they subscribed, and
 * must not throw.
 */
export class TypedEvent<Fact = void> {
  readonly #listeners = new Set<(fact: Fact) => void>();

  /** Calls `listener` each time from now on. Returns a function that ends the subscription. */
  on(listener: (fact: Fact) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  emit(fact: Fact): void {
    for (const listener of this.#listeners) listener(fact);
  }
}
