/** Wakes all who wait when it rings. Arm it before looking, or a ring during the look is lost. */
export class Bell {
  #rung = Promise.withResolvers<void>();

  /** Answers a promise that resolves at the next ring after this call. */
  arm(): Promise<void> {
    return this.#rung.promise;
  }

  ring(): void {
    this.#rung.resolve();
    this.#rung = Promise.withResolvers();
  }
}
