/** A signal for the end of an attempt, made only if it is waited for. */
export class Ended {
  isOver = false;
  #controller: AbortController | undefined;

  get signal(): AbortSignal {
    return (this.#controller ??= new AbortController()).signal;
  }

  end(): void {
    this.isOver = true;
    this.#controller?.abort();
  }
}
