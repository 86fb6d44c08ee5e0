/** A piece of the runtime that starts and stops. Nothing starts before what it feeds, and stopping walks the list backwards. */
export interface Part {
  start(): void | Promise<void>;
  /** Resolves when nothing of the part runs any more. */
  stop(): Promise<void>;
}
