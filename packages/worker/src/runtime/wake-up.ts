/**
 * A flag that many parts raise and one loop waits for. Notifications, freed slots and reconnects
 * ring it. Many rings while the loop does not wait count as one. Arm it before you look, or a ring
 * during the look is lost.
 */
export class WakeUp {
  #rung = Promise.withResolvers<void>();
  #hasRung = false;

  ring(): void {
    if (this.#hasRung) return; // every job that ends may ring
    this.#hasRung = true;
    this.#rung.resolve();
  }

  /** Resolves at the next ring since it was last armed. */
  get rung(): Promise<void> {
    return this.#rung.promise;
  }

  /** Returns a promise that resolves at the next ring after this call. */
  arm(): Promise<void> {
    this.#rung = Promise.withResolvers<void>();
    this.#hasRung = false;
    return this.#rung.promise;
  }
}
