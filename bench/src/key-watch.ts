/** Sees whether two jobs with one key run at the same time in this process. */
export class KeyWatch {
  /** How many jobs started while another job with their key ran. */
  overlaps = 0;
  readonly #running = new Map<string, number>();

  begin(key: string): void {
    const running = this.#running.get(key) ?? 0;
    if (running > 0) this.overlaps += 1;
    this.#running.set(key, running + 1);
  }

  end(key: string): void {
    const running = (this.#running.get(key) ?? 1) - 1;
    if (running > 0) this.#running.set(key, running);
    else this.#running.delete(key);
  }
}
