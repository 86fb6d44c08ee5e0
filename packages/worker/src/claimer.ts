import { randomUUID } from "node:crypto";
import { backoffMs, type Database, type Logger, statements } from "@hark/core";
import type { Executor } from "./executor.ts";
import type { LeaseKeeper } from "./lease-keeper.ts";
import { Loop, type Next } from "./runtime/loop.ts";
import type { Part } from "./runtime/part.ts";

/** Most jobs in one claim: larger ones hold their locks longer than they save. */
const batchSize = 500;

/**
 * Before looking again when a key is about to come free, in ms: about a commit at first, then longer, since the transaction that
 * completes its job may be one of the application's.
 */
const aboutToComeFree = { baseMs: 5, factor: 2, capMs: 250, jitter: 0.1 };

/**
 * Claims ready jobs of one queue for its free slots. Notifications, reconnects and freed slots all ring its wake-up; without
 * them it looks every poll interval.
 */
export class Claimer implements Part {
  readonly queue: string;
  readonly loop: Loop;
  readonly #db: Database;
  readonly #executor: Executor;
  readonly #lease: LeaseKeeper;
  readonly #types: readonly string[];
  /** Claims in a row that found a key about to come free. */
  #looksForKeys = 0;

  constructor(parts: {
    queue: string;
    db: Database;
    executor: Executor;
    lease: LeaseKeeper;
    types: readonly string[];
    pollMs: number;
    logger: Logger;
  }) {
    this.queue = parts.queue;
    this.#db = parts.db;
    this.#executor = parts.executor;
    this.#lease = parts.lease;
    this.#types = parts.types;
    this.loop = new Loop({
      name: `claim ${parts.queue}`,
      restMs: parts.pollMs,
      logger: parts.logger,
      step: (signal) => this.#step(signal),
    });
    parts.executor.onSlotFreed(parts.queue, this.loop.wakeUp);
  }

  start(): void {
    this.loop.start();
  }

  stop(): Promise<void> {
    return this.loop.stop();
  }

  async #step(signal: AbortSignal): Promise<Next> {
    const worker = this.#lease.identity;
    const limit = Math.min(this.#executor.freeSlots(this.queue), batchSize);
    if (limit <= 0 || worker === undefined) return "rest"; // a freed slot or a new lease rings

    const answer = await statements.claimJobs(this.#db, {
      queue: this.queue,
      limit,
      worker,
      token: randomUUID(),
      types: this.#types,
    });
    const blocked: string[] = [];
    let claimed = 0;
    for (const row of answer) {
      if ("blockedKey" in row) blocked.push(row.blockedKey);
      else if (signal.aborted) await this.#executor.handBack(row); // stopped meanwhile, or given up on by the watchdog
      else {
        claimed += 1;
        this.#executor.submit(row);
      }
    }
    const isParked = await statements.parkBlocked(this.#db, { queue: this.queue, keys: blocked });
    if (claimed === limit) return "again"; // a full claim: more may be waiting
    if (!isParked) return { restMs: backoffMs(aboutToComeFree, (this.#looksForKeys += 1)) };
    this.#looksForKeys = 0;
    return blocked.length > 0 ? "again" : "rest"; // what was parked may have stood before others
  }
}
