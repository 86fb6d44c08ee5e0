import { setTimeout as sleep } from "node:timers/promises";
import { type Database, openDatabase } from "@hark/core";
import { createProducer, type EnqueuedJob, type EnqueueOptions, type Producer } from "@hark/producer";
import { type Random, randomFrom } from "../../support/random.ts";
import type { Wish } from "../campaigns/ledger/entries.ts";
import type { LedgerFile } from "../campaigns/ledger/ledger.ts";
import { work } from "../campaigns/processes/jobs.ts";
import type { KeysOptions } from "./options.ts";
import { drawWish } from "./wishes.ts";

/** The name of its sessions. */
export const producerName = "hark keys producer";

/** Jobs in one call of a bulk enqueue. */
const bulk = 500;
/**
 * This share of all jobs waits when the workers start, and is kept waiting while there are more.
 */
const share = 0.4;
/** How long a transaction stays open, in ms. */
const [shortestMs, longestMs] = [50, 3_000];
/** How often callers look whether there is room for more jobs, in ms. */
const lookMs = 50;

/**
 * Enqueues the jobs: many at once, one by one, and in transactions that stay open for seconds and
 * of which some are rolled back. Records every wish and every answer.
 */
export class KeysProducer implements AsyncDisposable {
  /** How many jobs were asked for that may be there. */
  asked = 0;
  readonly #options: KeysOptions;
  readonly #ledger: LedgerFile;
  readonly #random: Random;
  readonly #db: Database;
  readonly #producer: Producer;
  #wishes = 0;

  constructor(options: KeysOptions & { url: string; ledger: LedgerFile }) {
    this.#options = options;
    this.#ledger = options.ledger;
    this.#random = randomFrom(options.seed * 13 + 1);
    this.#db = openDatabase({ connectionString: options.url, applicationName: producerName, maxConnections: 8 });
    this.#producer = createProducer({ database: this.#db });
  }

  /** Enqueues the jobs that wait when the workers start. */
  async load(): Promise<void> {
    while (this.#hasRoom(0)) await this.#enqueueMany(bulk);
  }

  /** Enqueues the others while workers run. `finished` returns how many jobs have ended. */
  async run(finished: () => number, signal: AbortSignal): Promise<void> {
    const caller = async (call: () => Promise<void>): Promise<void> => {
      while (!signal.aborted && this.asked < this.#options.jobs) {
        if (this.#hasRoom(finished())) await call();
        else await sleep(lookMs);
      }
    };
    const many = () => this.#enqueueMany(100 + Math.trunc(this.#random() * 300));
    const single = () => this.#ask([this.#wish()], ([wish]) => this.#enqueue(wish!));
    const inTransaction = () => this.#enqueueInTransaction(10 + Math.trunc(this.#random() * 100));
    await Promise.all([caller(many), caller(single), caller(single), ...[1, 2, 3].map(() => caller(inTransaction))]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#producer.close();
    await this.#db.close();
  }

  #hasRoom(finished: number): boolean {
    const { jobs } = this.#options;
    return this.asked < jobs && this.asked - finished < jobs * share;
  }

  #wish(): Wish {
    return drawWish(this.#random, `k${(this.#wishes += 1)}`, this.#options);
  }

  #wished(count: number): Wish[] {
    return Array.from({ length: Math.min(count, Math.max(1, this.#options.jobs - this.asked)) }, () => this.#wish());
  }

  async #enqueueMany(count: number): Promise<void> {
    await this.#ask(this.#wished(count), (wishes) => this.#producer.enqueueMany(wishes.map(requestOf)));
  }

  async #enqueue(wish: Wish): Promise<EnqueuedJob[]> {
    const { job, payload, options } = requestOf(wish);
    return [await this.#producer.enqueue(job, payload, options)];
  }

  async #enqueueInTransaction(count: number): Promise<void> {
    const wishes = this.#wished(count).map((wish) => ({ ...wish, inTransaction: true }));
    const holdMs = shortestMs + this.#random() * (longestMs - shortestMs);
    const back = this.#random() < 0.25 ? new Error("rolled back on purpose") : undefined;
    await this.#ask(
      wishes,
      () =>
        this.#db.transaction(async (tx) => {
          await tx.query("insert into orders select unnest($1::text[])", [wishes.map(({ ref }) => ref)]);
          const jobs = await this.#producer.in(tx).enqueueMany(wishes.map(requestOf));
          await sleep(holdMs);
          if (back) throw back;
          return jobs;
        }),
      back,
    );
  }

  async #ask(
    wishes: Wish[],
    answer: (wishes: Wish[]) => Promise<readonly EnqueuedJob[]>,
    expected?: Error,
  ): Promise<void> {
    for (const wish of wishes) this.#ledger.write({ event: "wished", ...wish });
    this.asked += wishes.length;
    try {
      for (const [place, { id, status }] of (await answer(wishes)).entries()) {
        this.#ledger.write({ event: "enqueued", ref: wishes[place]!.ref, id: String(id), status });
      }
    } catch (error) {
      this.asked -= wishes.length; // others take their place
      for (const { ref } of wishes) {
        if (error === expected) this.#ledger.write({ event: "rolled back", ref });
        else this.#ledger.write({ event: "unknown", ref, error: String(error) });
      }
    }
  }
}

function requestOf({ ref, does, ms = 0, times = 0, key, priority, delayMs }: Wish) {
  const options: EnqueueOptions = {
    ...(key !== undefined && { key }),
    ...(priority !== undefined && { priority }),
    ...(delayMs !== undefined && { delay: delayMs }),
  };
  return { job: work, payload: { ref, does, ms, times }, options };
}
