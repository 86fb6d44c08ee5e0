import { type Database, type Logger, statements } from "@hark/core";
import { Loop } from "../runtime/loop.ts";

/** How often to look, in ms: cheap, but what it looks for lasts minutes. */
const intervalMs = 30_000;

/**
 * Age from which a holder is worth a warning, in ms: autovacuum comes once a minute, and could have
 * cleared away by then.
 */
const oldMs = 60_000;

/** From one warning of a holder to its next, in ms: doubles up to an hour. */
const firstSilenceMs = 300_000;
const longestSilenceMs = 3_600_000;

interface Seen {
  readonly horizon: string;
  readonly since: number;
  warnAt: number;
  silenceMs: number;
}

/**
 * Warns of what holds vacuum back (a forgotten transaction, a prepared one, a replication slot, a
 * standby's long query): dead rows then pile up in Hark's tables, and everything slows down with
 * them (FM-42). Of many workers the eldest looks; should two do so for a moment, there are two
 * warnings.
 *
 * A holder has to be seen twice with the same horizon: a long transaction that takes a new snapshot
 * for every query holds nothing.
 */
export class OldSnapshotWatch {
  readonly loop: Loop;
  readonly #db: Database;
  readonly #identity: () => string | undefined;
  readonly #logger: Logger;
  readonly #oldMs: number;
  #seen = new Map<string, Seen>();

  constructor(parts: {
    db: Database;
    /** Who this worker is at the moment; undefined while it has no lease. */
    identity: () => string | undefined;
    logger: Logger;
    intervalMs?: number;
    oldMs?: number;
  }) {
    this.#db = parts.db;
    this.#identity = parts.identity;
    this.#logger = parts.logger;
    this.#oldMs = parts.oldMs ?? oldMs;
    this.loop = new Loop({
      name: "old snapshots",
      restMs: parts.intervalMs ?? intervalMs,
      logger: parts.logger,
      step: async () => {
        await this.look();
        return "rest";
      },
    });
  }

  /** Looks once; `now` in ms of the process clock. */
  async look(now: number = performance.now()): Promise<void> {
    const identity = this.#identity();
    if (identity === undefined) return;
    const holders = await statements.horizonHolders(this.#db, { olderThanMs: this.#oldMs, onlyIfEldest: identity });
    const before = this.#seen;
    this.#seen = new Map();
    for (const holder of holders) {
      const key = `${holder.kind} ${holder.id}`;
      const last = before.get(key);
      const seen =
        last?.horizon === holder.horizon
          ? last
          : { horizon: holder.horizon, since: now, warnAt: now, silenceMs: firstSilenceMs };
      this.#seen.set(key, seen);
      const isOld = seen === last && (holder.heldMs !== undefined || now - seen.since >= this.#oldMs);
      if (!isOld || now < seen.warnAt) continue;
      this.#warn(holder, holder.heldMs ?? now - seen.since);
      seen.warnAt = now + seen.silenceMs;
      seen.silenceMs = Math.min(seen.silenceMs * 2, longestSilenceMs);
    }
  }

  #warn(holder: statements.HorizonHolder & { deadRows: statements.DeadRows }, heldMs: number): void {
    const { kind, id, application, role, state, command, remedy, deadRows } = holder;
    this.#logger.warn(
      { kind, id, application, role, state, command, heldMs: Math.round(heldMs), deadRows, remedy },
      "dead rows cannot be cleared away, and claims slow down with them: end what holds an old snapshot, there or by the remedy",
    );
  }
}
