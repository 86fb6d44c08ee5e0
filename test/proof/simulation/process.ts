import { defineJob, type JobDefinition, silentLogger, UnrecoverableError } from "@hark/core";
import type * as Product from "@hark/worker/internal";
import type { Network } from "./network.ts";
import { Thread } from "./thread.ts";
import { broken, type Witness } from "./witness.ts";
import type { World } from "./world.ts";

/**
 * What a job's handler does. "ignoresSignal" and "long" outlast a lease, and "ignoresSignal" does
 * not listen to its signal.
 */
export const kinds = [
  "instant", "short", "long", "ignoresSignal", "failsOnce", "fails", "fatal", "snoozes", "retryAfter", "timesOut", "unstorable",
] as const; // prettier-ignore
export type Kind = (typeof kinds)[number];

export const queues = ["a", "b"] as const;

export const jobOf = (queue: string, kind: Kind): JobDefinition => definitions.get(`${queue}.${kind}`)!;

const definitions = new Map<string, JobDefinition>(
  queues.flatMap((queue) =>
    kinds.map((kind) => {
      const options = {
        queue,
        retry: { attempts: 3, backoff: { base: 200 } },
        ...(kind === "timesOut" && { timeout: 300 }),
      };
      return [`${queue}.${kind}`, defineJob(`${queue}.${kind.toLowerCase()}`, options) as JobDefinition] as const;
    }),
  ),
);

export interface Settings {
  readonly leaseMs: number;
  readonly concurrency: number;
}

const drainMs = 2_000;
export const graceMs = 500;

/**
 * Longest stop, in ms: loops that wait for their step, drain, grace and last words, the settler's
 * and cancellations' deadline, the lease thread's end and the goodbye to the table (a connection
 * and an answer), the gate, and the pools. From worker.ts.
 */
const longestStopMs = 11_000 + drainMs + graceMs + 5_000 + 5_000 + 1_000 + 15_000 + 1_000 + 5_000 + 1_000;

/** A process with one worker: its main thread, and a lease thread at a time. */
export class Process {
  readonly name: string;
  readonly concurrency: number;
  readonly main: Thread;
  #renewal: Thread | undefined;
  readonly #world: World;
  readonly #network: Network;
  readonly #witness: Witness;
  readonly #leaseMs: number;
  readonly #worker: Product.Worker;
  #isAsked = false;
  #stopAskedAt: number | undefined;
  #isStopped = false;
  #isKilled = false;

  constructor(
    name: string,
    parts: {
      world: World;
      network: Network;
      witness: Witness;
      product: typeof Product;
      settings: Settings;
      /**
       * The process ended, since it found no database within its time: a supervisor starts another.
       */
      onEndedAtStart: () => void;
    },
  ) {
    const { world, network, product, settings } = parts;
    this.name = name;
    this.concurrency = settings.concurrency;
    this.#world = world;
    this.#network = network;
    this.#witness = parts.witness;
    this.#leaseMs = settings.leaseMs;
    this.main = new Thread(world, name);
    const newRenewal = () => (this.#renewal = new Thread(world, `${name} lease`));
    const handlers = queues.flatMap((queue) =>
      kinds.map((kind) => product.implement(jobOf(queue, kind), (context) => this.#handle(kind, context))),
    );
    this.#worker = this.main.run(
      () =>
        new product.Worker(
          {
            connectionString: "postgres://simulated/hark",
            handlers,
            queues: settings.concurrency,
            name,
            logger: silentLogger,
            lease: settings.leaseMs,
            pollInterval: 1_000,
            promoteInterval: 1_000,
            drainTimeout: drainMs,
            abortTimeout: graceMs,
          },
          network.outsideOf(this.main, newRenewal, product.renewForEver),
        ),
    );
    this.main.run(() => {
      void this.#worker.start().catch((error: unknown) => {
        world.tell(`${name} did not start: ${String(error)}`);
        this.#stopped();
        if (!this.#isAsked) parts.onEndedAtStart();
      });
    });
  }

  /** Nothing it does reaches anyone: it was killed, or its main thread stands still. */
  get isCutOff(): boolean {
    return this.main.state !== "running";
  }

  get isOver(): boolean {
    return this.#isStopped || this.#isKilled;
  }

  get isAsked(): boolean {
    return this.#isAsked || this.isOver;
  }

  /** Jobs that it holds, by its own count. */
  get activeJobs(): number {
    return this.isOver ? 0 : this.#worker.health().activeJobs;
  }

  kill(): void {
    this.#isKilled = true;
    this.main.end();
    this.#renewal?.end();
    for (const gate of [...this.#network.gates]) if (gate.thread === this.main) gate.cut();
  }

  /** As by SIGSTOP; or only the event loop, as by a handler. */
  freeze(what: "process" | "event loop", ms: number): void {
    const threads = what === "process" && this.#renewal ? [this.main, this.#renewal] : [this.main];
    for (const thread of threads) thread.freeze();
    this.#world.in(ms, "thaws", () => {
      for (const thread of threads) thread.thaw();
    });
  }

  stop(how: "drain" | "now"): void {
    if (this.isOver) return;
    this.#isAsked = true; // a process that stands still hears of it later
    this.#world.in(
      0,
      `${this.name} is to stop`,
      () => {
        this.#stopAskedAt ??= this.#world.now;
        void this.#worker.stop(how).then(() => this.#stopped());
      },
      this.main,
    );
  }

  #stopped(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#world.tell(`${this.name} has stopped`);
    this.#lookForLeftovers();
  }

  #lookForLeftovers(): void {
    this.#world.in(50, "looks for what is left", () => {
      if (this.#isKilled) return;
      // A step that waits for its answer was given up, and ends by the deadline of that.
      if (this.#network.isAsking(this.main)) return this.#lookForLeftovers();
      if (this.main.timers > 0) broken(`${this.name} has stopped, and ${this.main.timers} of its timers are set`);
      if (this.#renewal && this.#renewal.state !== "ended") broken(`${this.name} has stopped, and renews its lease`);
      this.main.end(); // what ignores its signal goes with the process
    });
  }

  /** Call it whenever something has happened. */
  look(): void {
    if (this.#stopAskedAt === undefined || this.isOver) return;
    const askedForMs = this.#world.now - this.#stopAskedAt - this.main.frozenMs;
    if (askedForMs > longestStopMs) broken(`${this.name} was to stop ${askedForMs} ms ago and has not`);
  }

  #sleep(ms: number, signal?: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#world.in(ms, "handler", resolve, this.main);
    signal?.addEventListener("abort", () => reject(signal.reason as Error));
    return promise;
  }

  #handle(kind: Kind, context: Product.JobContext): unknown {
    const run = this.#witness.began(context, this);
    if (kind === "instant") {
      this.#witness.ended(run, "returned");
      return undefined;
    }
    return this.#work(kind, context).then(
      (result) => (this.#witness.ended(run, "returned"), result),
      (error: unknown) => {
        this.#witness.ended(run, kind === "snoozes" && !run.signal.aborted ? "snoozed" : "threw");
        throw error;
      },
    );
  }

  async #work(kind: Kind, context: Product.JobContext): Promise<unknown> {
    const { signal, attempt, id, token } = context;
    const shortMs = this.#world.between(1, 40);
    switch (kind) {
      case "long":
        await this.#sleep(this.#leaseMs * 1.5, signal);
        return { token };
      case "ignoresSignal":
        await this.#sleep(this.#leaseMs * 1.5);
        return undefined;
      case "timesOut":
        return this.#sleep(60_000, attempt < 3 ? signal : undefined);
      default:
        await this.#sleep(shortMs, signal);
    }
    switch (kind) {
      case "failsOnce":
        if (attempt === 1) throw new Error("as told");
        break;
      case "fails":
        throw new Error("as told");
      case "fatal":
        throw new UnrecoverableError("as told");
      case "snoozes":
        if (this.#witness.runsOf(id) === 1) context.snooze(100);
        break;
      case "retryAfter":
        if (attempt === 1) context.retryAfter(100, "as told");
        break;
      default:
    }
    return kind === "short" ? { id: String(id) } : undefined;
  }
}
