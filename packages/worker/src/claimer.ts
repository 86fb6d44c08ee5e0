import { randomUUID } from "node:crypto";
import { type Database, type Logger, statements } from "@hark/core";
import type { Executor } from "./executor.ts";
import type { LeaseKeeper } from "./lease-keeper.ts";
import { Loop, type Next } from "./runtime/loop.ts";
import type { Part } from "./runtime/part.ts";

/** Most jobs in one claim: larger ones hold their locks longer than they save. */
const batchSize = 500;

/** Most jobs parked in one statement. */
const parkSize = 1_000;

/** Before looking again when a key is about to come free, in ms: about a commit. */
const soonMs = 5;

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
    if (blocked.length > 0) return this.#park([...new Set(blocked)]);
    return claimed === limit ? "again" : "rest"; // a full claim: more may be waiting
  }

  /** Takes jobs whose key is running out of the way; a key that was just about to come free is looked at again soon. */
  async #park(keys: string[]): Promise<Next> {
    const held = await statements.parkJobs(this.#db, { queue: this.queue, keys, limit: parkSize });
    return held.length === keys.length ? "again" : { restMs: soonMs };
  }
}
