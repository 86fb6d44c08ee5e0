import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import type { Random } from "../../../support/random.ts";
import { now } from "../ledger/clock.ts";
import type { LedgerFile } from "../ledger/ledger.ts";
import { enqueueDirectly, probeWish } from "./direct.ts";

/** Rest between a probe's start and the next probe, in ms. */
const restMs = { from: 50, to: 350 };

/**
 * Keeps exactly one job waiting in a worker's own queue, due at once or a little later. Only this
 * worker can start it, and nothing else wakes the worker. The start of the job shows how long the
 * worker was away.
 */
export class Prober {
  readonly #worker: string;
  readonly #pool: () => pg.Pool;
  readonly #ledger: LedgerFile;
  readonly #random: Random;
  readonly #started = new Map<string, () => void>();
  /** Probes whose start was reported before the answer of the insert was read. */
  readonly #early = new Set<string>();
  #isStopping = false;
  #running: Promise<void> | undefined;
  #probes = 0;

  constructor(given: { worker: string; pool: () => pg.Pool; ledger: LedgerFile; random: Random }) {
    this.#worker = given.worker;
    this.#pool = given.pool;
    this.#ledger = given.ledger;
    this.#random = given.random;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Records that a probe has started. */
  hear(id: string): void {
    const waiting = this.#started.get(id);
    if (waiting) waiting();
    else this.#early.add(id);
  }

  /** Sends no more probes. Resolves once the last has started, or after `withinMs`. */
  async stop(withinMs: number): Promise<void> {
    this.#isStopping = true;
    await Promise.race([this.#running, sleep(withinMs)]);
  }

  async #run(): Promise<void> {
    while (!this.#isStopping) {
      try {
        await this.#probe();
      } catch {
        await sleep(50); // the server is down
      }
      await sleep(restMs.from + this.#random() * (restMs.to - restMs.from));
    }
  }

  async #probe(): Promise<void> {
    this.#probes += 1;
    const delayMs = this.#probes % 3 === 0 ? Math.round(100 + this.#random() * 300) : 0;
    const id = await enqueueDirectly(
      this.#pool(),
      this.#ledger,
      probeWish(`probe-${this.#worker}-${this.#probes}`, this.#worker, delayMs),
    );
    this.#ledger.write({ event: "probed", id, worker: this.#worker, dueAt: now() + delayMs });
    if (this.#early.delete(id)) return;
    await new Promise<void>((resolve) => this.#started.set(id, resolve));
    this.#started.delete(id);
  }
}
