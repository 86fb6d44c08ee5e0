import { channels, type Database, orLate, silentLogger, statements } from "@hark/core";
import { fallAsleep, NotifyGate, type Listener, type Writers } from "@hark/worker/internal";
import { eventually } from "./eventually.ts";
import { claim } from "./jobs.ts";

export interface SleeperOptions {
  db: Database;
  connectionString: string;
  listener: Listener;
  queue: string;
  /** An identity registered in hark.workers. */
  worker: string;
  /** Jobs in one claim; 10 if not given. */
  limit?: number;
  /** Where a test may hold it up: "armed" before it acts on the writers, "found" before it claims again. */
  pause?: (step: "armed" | "found") => Promise<void> | void;
  /** Leaves the quiesce step out: the twin that must lose wake-ups. */
  isHasty?: boolean;
}

class HastyGate extends NotifyGate {
  override async open(queue: string): Promise<Writers> {
    await super.open(queue);
    return [];
  }
}

/** A worker reduced to its sleep: claims one queue, and without any poll sleeps until it is rung. */
export class Sleeper implements AsyncDisposable {
  readonly claimed = new Set<bigint>();
  readonly gate: NotifyGate;
  /** Claims that found nothing. */
  emptyClaims = 0;
  readonly #options: SleeperOptions;
  readonly #running: Promise<void>;
  readonly #stopping = new AbortController();
  readonly #unsubscribe: () => void;
  #rung = Promise.withResolvers<void>();
  #isAsleep = false;
  #ended: unknown;

  constructor(options: SleeperOptions) {
    this.#options = options;
    const ring = () => this.#rung.resolve();
    const { connectionString, isHasty, listener, queue } = options;
    this.gate = new (isHasty ? HastyGate : NotifyGate)({ connectionString, logger: silentLogger, onLost: ring });
    this.#unsubscribe = listener.on(channels.jobReady, (payload) => {
      if (payload === undefined || payload.split(" ")[0] === queue) ring();
    });
    this.#stopping.signal.addEventListener("abort", ring);
    this.#running = this.#run();
    this.#running.catch((error: unknown) => (this.#ended = error)); // told by whoever waits for it
  }

  /** How it stands, for people who look at a hang. */
  get standing(): string {
    if (this.#ended !== undefined) return `ended by ${(this.#ended as Error).message}`;
    return `${this.#isAsleep ? "asleep" : "awake"}, ${this.gate.isOpen(this.#options.queue) ? "gate open" : "gate closed"}`;
  }

  /** Until it sleeps. Throws what made it end. */
  async untilAsleep(): Promise<void> {
    const asleep = eventually(() => this.#isAsleep, { withinMs: 30_000, what: "a sleeping worker" });
    await Promise.race([asleep, this.#running.then(() => Promise.reject(new Error("the sleeper ended")))]);
  }

  /** Until it has claimed the job. */
  async untilClaimed(id: bigint, withinMs = 30_000): Promise<void> {
    await eventually(() => this.claimed.has(id), { withinMs, what: `the claim of job ${id}` });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#unsubscribe();
    await this.#running.catch(() => {});
    await this.gate.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      this.#rung = Promise.withResolvers<void>(); // before the look, or a ring during it would be lost
      const rung = this.#rung.promise;
      if (await this.#look()) continue;
      if (!(await this.#fallAsleep(rung))) continue;
      this.#isAsleep = true;
      await rung;
      this.#isAsleep = false;
    }
  }

  /** As a worker without a poll: if the gate fails, it looks again at the gate's own word of the loss, or soon. */
  async #fallAsleep(rung: Promise<void>): Promise<boolean> {
    const { db, queue, pause } = this.#options;
    let failure: unknown;
    const isAnyReady = async () => {
      try {
        const isAny = await statements.isAnyReady(db, { queue, types: ["test.plain"] });
        if (!isAny) await pause?.("armed");
        return isAny;
      } catch (error) {
        failure = error;
        throw error;
      }
    };
    try {
      const isAsleep = await fallAsleep(this.gate, queue, isAnyReady, { rung, signal: this.#stopping.signal });
      if (!isAsleep) await orLate(rung, 5); // another sleeper may have it in hand
      return isAsleep;
    } catch (error) {
      if (error === failure) throw error;
      await orLate(rung, 1_000);
      return false;
    }
  }

  async #look(): Promise<boolean> {
    const { db, queue, worker, limit = 10, pause } = this.#options;
    const jobs = await claim(db, { queue, worker, limit });
    for (const { id } of jobs) this.claimed.add(id);
    if (jobs.length > 0) {
      this.gate.close(queue);
      await pause?.("found");
    } else this.emptyClaims += 1;
    return jobs.length > 0;
  }
}
