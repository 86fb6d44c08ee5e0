import { TypedEvent } from "../runtime/event.ts";

/**
 * The claims that are on their way. A claim whose answer may still come must not be handed back by
 * the rescuer, or its jobs would run here and elsewhere. A claim that failed without an answer may
 * be committed all the same: the rescuer subscribes to `unanswered` and looks for its jobs.
 */
export class PendingClaims {
  readonly unanswered: TypedEvent = new TypedEvent();
  readonly #tokens = new Set<string>();

  add(token: string): void {
    this.#tokens.add(token);
  }

  /** Call it when the claim's jobs are in the executor's hands, or when the claim has failed. */
  delete(token: string): void {
    this.#tokens.delete(token);
  }

  get isAny(): boolean {
    return this.#tokens.size > 0;
  }

  /** Whether a claim under this token may still be answered. */
  has(token: string): boolean {
    return this.#tokens.has(token);
  }
}
