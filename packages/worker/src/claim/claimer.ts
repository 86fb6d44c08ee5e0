import type { Database, Logger } from "@hark/core";
import { backoffMs, statements, WakeUpLimiter } from "@hark/core/internal";
import { TypedEvent } from "../runtime/event.ts";
import { Loop, type Next } from "../runtime/loop.ts";
import type { Part } from "../runtime/part.ts";
import type { IdlePolicy } from "../wake/idle-policy.ts";
import { ParallelClaim } from "./parallel-claim.ts";
import { QueueClaim, type QueueClaimParts } from "./queue-claim.ts";

/**
 * Pauses before looking again while a key is about to be released, in ms. The first is about as
 * long as a commit. Later ones are longer, since the transaction that completes the key's job may
 * be the application's.
 */
const aboutToComeFree = { baseMs: 5, factor: 2, capMs: 250, jitter: 0.1 };

/**
 * Claims ready jobs of one queue for its free slots. Notifications, reconnects, the poll and,
 * unless it sleeps, free slots wake it.
 */
export class Claimer implements Part {
  readonly queue: string;
  /**
   * A look found no job, or could not take any. The event holds the time when that look began, in
   * ms of the process clock.
   */
  readonly foundNothing: TypedEvent<number> = new TypedEvent();
  /** A look failed. It is tried again; see {@link Claimer.resume}. */
  readonly failed: TypedEvent<unknown> = new TypedEvent();
  readonly #loop: Loop;
  readonly #claims: QueueClaim;
  readonly #parallel: ParallelClaim;
  readonly #idle: IdlePolicy;
  readonly #db: Database;
  readonly #limiter = new WakeUpLimiter();
  /** A notification asked for the next look. */
  #isAnnounced = false;
  /** Claims in a row that found a key about to come free. */
  #looksForKeys = 0;

  constructor(parts: QueueClaimParts & { idle: IdlePolicy; pollMs: number; logger: Logger }) {
    const { slots, pollMs, logger } = parts;
    this.queue = slots.queue;
    this.#db = parts.db;
    this.#idle = parts.idle;
    this.#claims = new QueueClaim(parts);
    this.#loop = new Loop({
      name: `claim ${slots.queue}`,
      restMs: pollMs,
      logger,
      step: (signal) =>
        this.#step(signal).catch((error: unknown) => {
          this.failed.emit(error);
          throw error;
        }),
    });
    this.#parallel = new ParallelClaim({ claims: this.#claims, slots, claimer: this.#loop.wakeUp, logger });
    slots.free.on(() => {
      if (!this.#idle.isAsleep) this.#loop.wakeUp.ring();
    });
  }

  /** Looks in a row that failed; 0 while all is well. */
  get failures(): number {
    return this.#loop.failures;
  }

  /** True while it rests until it is woken: the poll asks for its queue. */
  get awaitsPoll(): boolean {
    return this.#idle.awaitsPoll;
  }

  /** True while every new job will be announced to it, as far as is known here. */
  get expectsNotifications(): boolean {
    return this.#idle.expectsNotifications;
  }

  start(): void {
    this.#loop.start();
    this.#parallel.start();
  }

  /** Stops, and lets producers know that it listens no more. */
  async stop(): Promise<void> {
    await Promise.all([this.#loop.stop(), this.#parallel.stop()]);
    this.#idle.stayAwake();
  }

  /**
   * There may be jobs: one was announced, or something may have been missed. While it sleeps,
   * others go first for `delayMs`.
   */
  wake(delayMs = 0): void {
    this.#isAnnounced = true;
    this.look(delayMs);
  }

  /** Looks without a notification. See {@link Claimer.foundNothing}. */
  look(delayMs = 0): void {
    this.#idle.wake(delayMs);
    this.#loop.wakeUp.ring();
  }

  /**
   * Call it after a recovery. Notifications may have been missed, so it asks at once, also if the
   * last look failed.
   */
  resume(): void {
    this.#idle.doubt();
    this.#loop.wakeUp.ring();
    this.#loop.retry();
  }

  async #step(signal: AbortSignal): Promise<Next> {
    const startedAt = performance.now();
    const until = { rung: this.#loop.wakeUp.rung, signal };
    const isAnnounced = await this.#pauseIfAnnounced(signal);
    if (!this.#claims.hasLease) {
      this.foundNothing.emit(startedAt);
      return "until rung"; // a new lease wakes it, and until then it stays as asleep or awake as it was
    }
    if (!this.#claims.isWanted) return this.#wantNothing(startedAt);

    const rest = await this.#idle.sleepOn(until);
    if (rest === "until rung") {
      if (isAnnounced) this.#limiter.countSpurious();
      this.foundNothing.emit(startedAt);
    }
    if (rest) return rest;

    const claimed = await this.#claims.claim(signal);
    if (!claimed) return this.#wantNothing(startedAt);
    if (isAnnounced && claimed.found === 0) this.#limiter.countSpurious();
    const next = await this.#park(claimed.blockedKeys);
    if (!claimed.isAll) return next ?? "again";

    if (claimed.found === 0 && next !== "again") this.foundNothing.emit(startedAt);
    return next ?? this.#idle.rest(claimed.found, until);
  }

  #wantNothing(startedAt: number): Next {
    this.#idle.stayAwake();
    this.foundNothing.emit(startedAt);
    return "rest"; // a free slot or a new lease wakes it
  }

  /**
   * Returns whether a notification asked for this look. Waits first if too many have found nothing,
   * because anyone may send them (FM-45).
   */
  async #pauseIfAnnounced(signal: AbortSignal): Promise<boolean> {
    if (!this.#isAnnounced) return false;
    // Before the pause: what is heard during it asks for another look, and that one pauses too.
    this.#isAnnounced = false;
    await this.#limiter.pause(signal);
    return true;
  }

  /** Parks jobs whose key is running. Returns when to look again because of them, if so. */
  async #park(keys: readonly string[]): Promise<Next | undefined> {
    const isParked = await statements.parkBlocked(this.#db, { queue: this.queue, keys });
    if (!isParked) return { restMs: backoffMs(aboutToComeFree, (this.#looksForKeys += 1)) };
    this.#looksForKeys = 0;
    return keys.length > 0 ? "again" : undefined; // the parked jobs may have hidden others
  }
}
