/**
 * A flag that many may raise and one waits for: notifications, freed slots and reconnects all ring it, and a hundred rings
 * while nobody waits are one. Arm before looking, or a ring during the look is lost.
 */
export class WakeUp {
  #rung = Promise.withResolvers<void>();

  ring(): void {
    this.#rung.resolve();
  }

  /** Resolves at the next ring since it was last armed. */
  get rung(): Promise<void> {
    return this.#rung.promise;
  }

  /** Answers a promise that resolves at the next ring after this call. */
  arm(): Promise<void> {
    this.#rung = Promise.withResolvers<void>();
    return this.#rung.promise;
  }
}
