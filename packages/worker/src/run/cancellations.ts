import type { Database, Logger, Notifications } from "@hark/core";
import { channels, statements, WakeUpLimiter } from "@hark/core/internal";
import { Loop, type Next } from "../runtime/loop.ts";
import type { Part } from "../runtime/part.ts";
import type { Attempts } from "./attempts.ts";

/** Claims looked up in one statement. */
const batchSize = 500;

/** Longest pause while no job is named, in ms. */
const restMs = 60_000;

/**
 * Aborts running jobs that were cancelled. A notification names the job, but anyone may send one
 * (FM-45), so only a claim that is no longer in the table is aborted. If a notification is lost,
 * the rescuer finds the cancelled job: once a lease it compares what this process holds.
 */
export class Cancellations implements Part {
  readonly #db: Database;
  readonly #notifications: Notifications;
  readonly #attempts: Attempts;
  readonly #loop: Loop;
  readonly #limiter = new WakeUpLimiter();
  /** Running jobs that notifications name as cancelled. Never more than run. */
  readonly #named = new Set<bigint>();
  #stopListening: (() => void) | undefined;

  constructor(parts: { db: Database; notifications: Notifications; attempts: Attempts; logger: Logger }) {
    this.#db = parts.db;
    this.#notifications = parts.notifications;
    this.#attempts = parts.attempts;
    this.#loop = new Loop({
      name: "cancellations",
      restMs,
      logger: parts.logger,
      step: (signal) => this.#step(signal),
    });
  }

  start(): void {
    this.#stopListening = this.#notifications.on(channels.jobCancelled, (payload) => {
      if (payload === undefined || !/^\d{1,19}$/.test(payload)) return;
      this.suspect(BigInt(payload));
    });
    this.#loop.start();
  }

  /** Call it if a job that runs here may have been cancelled. Looks, and aborts it if so. */
  suspect(id: bigint): void {
    if (this.#attempts.claimsOf(id).length === 0) return;
    this.#named.add(id);
    this.#loop.wakeUp.ring();
  }

  async stop(): Promise<void> {
    this.#stopListening?.();
    await this.#loop.stop();
  }

  async #step(signal: AbortSignal): Promise<Next> {
    const ids = [...this.#named].slice(0, batchSize);
    const claims = ids.flatMap((id) => this.#attempts.claimsOf(id));
    if (claims.length > 0) {
      await this.#limiter.pause(signal);
      const held = await statements.heldClaims(this.#db, {
        ids: claims.map(({ id }) => id),
        tokens: claims.map(({ token }) => token),
      });
      const isHeld = new Set(held.map(({ id, token }) => `${id} ${token}`));
      const gone = claims.filter(({ id, token }) => !isHeld.has(`${id} ${token}`));
      for (const claim of gone) this.#attempts.abortClaim(claim);
      if (gone.length === 0) this.#limiter.countSpurious();
    }
    for (const id of ids) this.#named.delete(id); // not before the answer: a step that fails is repeated
    return this.#named.size > 0 ? "again" : "rest";
  }
}
