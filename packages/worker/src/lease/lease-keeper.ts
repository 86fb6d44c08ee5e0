import { hostname } from "node:os";
import { type Database, DatabaseUnreachableError, LeaseThreadError, type Logger } from "@hark/core";
import { errorText, type Login, orLate, statements } from "@hark/core/internal";
import { type Ports, realPorts } from "../ports.ts";
import { TypedEvent } from "../runtime/event.ts";
import type { Part } from "../runtime/part.ts";
import type { LeaseNews, Renewed } from "./lease-renewal.ts";
import { SharedDeadline } from "./shared-deadline.ts";
import type { LeaseThread } from "./start-lease-thread.ts";

export interface LeaseKeeperOptions extends Login {
  /** The URL goes through a transaction pooler. */
  isPooled?: boolean;
  db: Database;
  name: string;
  /** Concurrency by queue, shown to people in hark.workers. */
  queues: Record<string, number>;
  leaseMs: number;
  logger: Logger;
  startThread?: Ports["startLeaseThread"];
}

/** How long start() waits for the first registration, in ms. */
const startDeadlineMs = 15_000;

/**
 * From one tick of the main thread to the next, in ms. Without ticks the lease thread takes it to
 * hang.
 */
const tickMs = 500;

/** Rest before another thread is started after one that could not load, in ms. */
const restartMs = 1_000;

/**
 * Keeps the process's lease, and with it its right to all its jobs. The lease is renewed from a
 * thread of its own on a connection of its own, so that neither a busy event loop nor an empty pool
 * loses it (FM-18, FM-19).
 */
export class LeaseKeeper implements Part {
  /**
   * An identity is registered, or one whose lease had run out has it again: claiming may go on.
   */
  readonly registered: TypedEvent = new TypedEvent();
  /**
   * The lease has run out: its jobs may belong to others. Unless another worker declares it dead,
   * the identity comes back with {@link LeaseKeeper.registered}.
   */
  readonly lost: TypedEvent = new TypedEvent();
  /** The lease was renewed, and the answer tells of the other workers. */
  readonly renewed: TypedEvent<Renewed> = new TypedEvent();
  readonly #options: LeaseKeeperOptions;
  readonly #ticks = new Int32Array(new SharedArrayBuffer(8));
  #thread: LeaseThread | undefined;
  #ticker: NodeJS.Timeout | undefined;
  #restarting: NodeJS.Timeout | undefined;
  #identity: string | undefined;
  /** The deadline of the thread that runs now. */
  #hold = new SharedDeadline();
  /** Which of the thread's registrations is ours, counted from 1. */
  #registration = 0;
  /**
   * The lease surely holds until this time of performance.now(). It saves a read of the shared
   * memory for each job.
   */
  #heldUntilMs = 0;
  #wasHung = false;
  #peers: NonNullable<Renewed["peers"]> = [];
  /** By queue, as far as it was asked for since the peers changed. */
  readonly #peersOn = new Map<string, readonly string[]>();
  #firstRegistered = Promise.withResolvers<void>();
  #isStopping = false;
  #lastFailure = "";

  constructor(options: LeaseKeeperOptions) {
    this.#options = options;
  }

  /** The identity under which jobs are claimed. Undefined while there is no lease. */
  get identity(): string | undefined {
    return this.#identity;
  }

  /** Whether the last lease was given up because this event loop stood still for a minute. */
  get wasHung(): boolean {
    return this.#wasHung;
  }

  /**
   * Returns whether the lease holds at `nowMs` of performance.now(). It decides whether a job may
   * start. After the process stood still, it knows of a loss before the message about it arrives.
   */
  isHeld(nowMs: number): boolean {
    if (nowMs < this.#heldUntilMs) return true;
    const leftMs = this.#identity === undefined ? 0 : this.#hold.leftMs(this.#registration);
    this.#heldUntilMs = nowMs + leftMs;
    return leftMs > 0;
  }

  /**
   * Identities of the live processes with a worker on the queue, as of the last renewal. It may
   * list some that are gone, and miss new ones, this one too. Empty until the first renewal.
   */
  peersOn(queue: string): readonly string[] {
    let peers = this.#peersOn.get(queue);
    if (peers === undefined) {
      peers = this.#peers.filter(({ queues }) => queues === null || queues.includes(queue)).map(({ id }) => id);
      this.#peersOn.set(queue, peers);
    }
    return peers;
  }

  /**
   * Resolves once the lease holds.
   * @throws LeaseThreadError at once if the thread cannot load
   * @throws DatabaseUnreachableError if the lease does not hold within 15 s
   */
  async start(): Promise<void> {
    this.#ticker = setInterval(() => Atomics.add(this.#ticks, 0, 1), tickMs);
    this.#ticker.unref();
    this.#startThread();
    try {
      if ((await orLate(this.#firstRegistered.promise, startDeadlineMs)) !== "late") return;
    } catch (error) {
      await this.stop();
      throw error;
    }
    await this.stop();
    throw new DatabaseUnreachableError("the worker's lease connection", this.#lastFailure);
  }

  /**
   * From now on the process is killed if its event loop hangs for a minute, so that a supervisor
   * starts a fresh one.
   */
  endProcessWhenHung(): void {
    Atomics.store(this.#ticks, 1, 1);
  }

  /** Ends the lease. Call it when the worker holds no more jobs. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    clearInterval(this.#ticker);
    clearTimeout(this.#restarting);
    await this.#endThread();
    const identity = this.#identity;
    this.#identity = undefined;
    if (identity === undefined) return;
    await statements.leaveWorkers(this.#options.db, { id: identity }).catch((error: unknown) => {
      this.#options.logger.debug({ error }, "could not end the registration: it will expire");
    });
  }

  async #endThread(): Promise<void> {
    const thread = this.#thread;
    if (!thread) return;
    const exited = new Promise<void>((resolve) => void thread.once("exit", () => resolve()));
    thread.postMessage("stop");
    if ((await orLate(exited, 1_000)) === "late") await thread.terminate();
    this.#thread = undefined;
  }

  #startThread(): void {
    const { connectionString, password, isPooled = false, name, queues, leaseMs } = this.#options;
    const { startThread = realPorts.startLeaseThread } = this.#options;
    this.#hold = new SharedDeadline();
    const thread = startThread({
      connectionString,
      asksPassword: password !== undefined,
      isPooled,
      name,
      hostname: hostname(),
      queues: JSON.stringify(queues),
      leaseMs,
      ticks: this.#ticks,
      held: this.#hold.memory,
    });
    let hasLoaded = false;
    let failure: unknown;
    thread.on("message", (news: LeaseNews) => {
      hasLoaded = true;
      this.#hear(news);
    });
    thread.on("error", (error) => {
      failure = error;
      this.#options.logger.error({ error }, "the lease thread failed, starting another");
    });
    thread.on("exit", () => {
      this.#thread = undefined;
      if (this.#isStopping) return;
      // Before the first registration, start() waits for this answer.
      if (!hasLoaded) this.#firstRegistered.reject(new LeaseThreadError(failure));
      this.#lose();
      if (hasLoaded) this.#startThread();
      else this.#restarting = setTimeout(() => this.#startThread(), restartMs);
    });
    this.#thread = thread;
  }

  /** Tells the thread the password of now. */
  async #tellPassword(): Promise<void> {
    try {
      const password = (await this.#options.password?.()) ?? "";
      this.#thread?.postMessage({ password });
    } catch (error) {
      this.#thread?.postMessage({ noPassword: `password() failed: ${errorText(error).split("\n")[0]}` });
    }
  }

  #hear(news: LeaseNews): void {
    switch (news.kind) {
      case "password":
        void this.#tellPassword();
        return;
      case "registered":
        this.#identity = news.identity;
        this.#registration = news.registration;
        this.#heldUntilMs = 0;
        this.#firstRegistered.resolve();
        this.registered.emit();
        return;
      case "lost":
        this.#wasHung = news.isHung;
        this.#lose();
        return;
      case "renewed":
        if (news.peers) {
          this.#peers = news.peers;
          this.#peersOn.clear();
        }
        this.renewed.emit(news);
        return;
      case "failed":
        this.#lastFailure = news.message;
        this.#options.logger.warn(
          { error: news.message },
          "the lease could not be renewed, trying again on a fresh connection",
        );
        return;
      default:
        news satisfies never;
    }
  }

  #lose(): void {
    if (this.#identity === undefined) return;
    this.#identity = undefined;
    this.#heldUntilMs = 0;
    this.#options.logger.error(
      {},
      "lease lost: running jobs are aborted, and the process goes on once the database answers",
    );
    this.lost.emit();
  }
}
