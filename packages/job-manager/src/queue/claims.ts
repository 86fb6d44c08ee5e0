import { randomUUID } from "node:crypto";
import {
  type Database,
  InvalidPayloadError,
  type Logger,
  openPayload,
  parsePayload,
  type PayloadCipher,
  PayloadUnreadableError,
  statements,
} from "@hark/core";
import type { UrlJob } from "../define-url-job.ts";
import { viewOf } from "../url-job.ts";
import type { DequeuedJob, HeldJobs } from "./held-jobs.ts";
import type { ProcessLease } from "./process-lease.ts";
import type { QueueUpkeep } from "./queue-upkeep.ts";
import type { Settlement } from "./settlement.ts";

/** The queue of DataShelf's job types. */
export const queue = "default";

/** Before a key that is just changing hands is looked at again, in ms. */
const soonMs = 5;

/** Claims jobs one by one under the process's lease, and holds them until they are settled. */
export class Claims {
  readonly #db: Database;
  readonly #lease: ProcessLease;
  readonly #held: HeldJobs;
  readonly #upkeep: QueueUpkeep;
  readonly #settlement: Settlement;
  readonly #jobs: readonly UrlJob[];
  readonly #cipher: PayloadCipher | undefined;
  readonly #logger: Logger;

  constructor(parts: {
    db: Database;
    lease: ProcessLease;
    held: HeldJobs;
    upkeep: QueueUpkeep;
    settlement: Settlement;
    jobs: readonly UrlJob[];
    cipher: PayloadCipher | undefined;
    logger: Logger;
  }) {
    this.#db = parts.db;
    this.#lease = parts.lease;
    this.#held = parts.held;
    this.#upkeep = parts.upkeep;
    this.#settlement = parts.settlement;
    this.#jobs = parts.jobs;
    this.#cipher = parts.cipher;
    this.#logger = parts.logger;
  }

  /**
   * Claims one job, or answers in how many ms the next is due. If none is ready it promotes what is due and looks again, so that
   * due jobs need no worker anywhere.
   */
  async next(): Promise<{ job: DequeuedJob } | { nextDueInMs: number }> {
    const worker = await this.#lease.identity();
    await this.#upkeep.run(worker);
    for (;;) {
      const claimed = await this.#claim(worker);
      if (typeof claimed === "object") return { job: claimed };
      if (claimed === "none") {
        const { promoted, nextDueInMs } = await this.#upkeep.promote();
        if (promoted === 0) return { nextDueInMs };
      }
      if (claimed === "soon") return { nextDueInMs: soonMs };
    }
  }

  /** Whether a job is ready, also one that another has in hand and may yet give back. */
  isAnyReady(): Promise<boolean> {
    return statements.isAnyReady(this.#db, { queue, types: this.#jobs.map(({ type }) => type) });
  }

  /** "again": what stood in the way is gone. "soon": a key is changing hands. */
  async #claim(worker: string): Promise<DequeuedJob | "none" | "again" | "soon"> {
    const taken = await this.#take(worker);
    if (typeof taken === "string") return taken;
    const { job, controller } = taken;
    try {
      const payload = await parsePayload(
        this.#jobs.find(({ type }) => type === job.type)!,
        openPayload(this.#cipher, job),
      );
      return { ...viewOf(job, payload), token: job.token, signal: controller.signal };
    } catch (error) {
      const reason = reasonOf(error);
      if (!reason) throw error;
      // As in a worker: no attempt can mend it. Others may be waiting behind it.
      this.#logger.error({ jobId: job.id, type: job.type, error: (error as Error).message }, "job is a dead letter");
      await this.#settlement.fail(job, { kind: "fatal", reason, error });
      return "again";
    }
  }

  async #take(worker: string): Promise<ReturnType<HeldJobs["add"]> | "none" | "again" | "soon"> {
    const types = this.#jobs.map(({ type }) => type);
    const token = randomUUID();
    this.#held.awaited.add(token);
    try {
      const {
        jobs: [row],
        blockedKeys: keys,
      } = await statements.claimJobs(this.#db, { queue, limit: 1, worker, token, types });
      const isParked = await statements.parkBlocked(this.#db, { queue, keys });
      if (row && !(await this.#lease.holds(worker))) return "again"; // it is rescued, as all that the dead held
      if (row) return this.#held.add(row);
      if (keys.length === 0) return "none";
      return isParked ? "again" : "soon";
    } finally {
      this.#held.awaited.delete(token); // not before its job is in hand
    }
  }
}

/** Why a payload makes a dead letter of its job; undefined for any other failure. */
function reasonOf(error: unknown): "payload_unreadable" | "invalid_payload" | undefined {
  if (error instanceof PayloadUnreadableError) return "payload_unreadable";
  return error instanceof InvalidPayloadError ? "invalid_payload" : undefined;
}
