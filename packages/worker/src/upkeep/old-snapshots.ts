import type { Database, Logger } from "@hark/core";
import { statements } from "@hark/core/internal";
import { Loop } from "../runtime/loop.ts";

/** How often to look, in ms: what it looks for lasts minutes. */
const intervalMs = 60_000;

/**
 * Age from which a holder gives a warning, in ms. Autovacuum runs once a minute, and could have
 * removed dead rows by then.
 */
const defaultOldMs = 60_000;

/** From one warning of a holder to its next, in ms: doubles up to an hour. */
const firstSilenceMs = 300_000;
const longestSilenceMs = 3_600_000;

interface Seen {
  readonly horizon: string;
  readonly since: number;
  warnAt: number;
  silenceMs: number;
}

export interface OldSnapshotParts {
  readonly db: Database;
  /** The identity of this worker at the moment; undefined while it has no lease. */
  readonly identity: () => string | undefined;
  readonly logger: Logger;
  readonly oldMs?: number;
}

/**
 * Warns of what holds vacuum back: a forgotten transaction, a prepared one, a replication slot, a
 * standby's long query. Dead rows then pile up in Hark's tables, and everything slows down (FM-42).
 * Only the oldest worker looks. If two look for a moment, there are two warnings.
 */
export function oldSnapshotWatch(parts: OldSnapshotParts): Loop {
  const look = oldSnapshotLook(parts);
  return new Loop({
    name: "old snapshots",
    restMs: intervalMs,
    logger: parts.logger,
    async step() {
      await look();
      return "rest";
    },
  });
}

/**
 * One look of the watch; call the function that it returns with the time in ms of the process
 * clock. A holder is old only if it is seen twice with the same horizon: a long transaction that
 * takes a new snapshot for every query holds nothing.
 */
export function oldSnapshotLook({ db, identity, logger, oldMs = defaultOldMs }: OldSnapshotParts) {
  let before = new Map<string, Seen>();
  return async (now: number = performance.now()): Promise<void> => {
    const onlyIfEldest = identity();
    if (onlyIfEldest === undefined) return;
    const holders = await statements.horizonHolders(db, { olderThanMs: oldMs, onlyIfEldest });
    const seenNow = new Map<string, Seen>();
    for (const holder of holders) {
      const key = `${holder.kind} ${holder.id}`;
      const last = before.get(key);
      const isSame = last?.horizon === holder.horizon;
      const seen = isSame ? last : { horizon: holder.horizon, since: now, warnAt: now, silenceMs: firstSilenceMs };
      seenNow.set(key, seen);
      const isOld = isSame && (holder.heldMs !== undefined || now - seen.since >= oldMs);
      if (!isOld || now < seen.warnAt) continue;
      warn(logger, holder, holder.heldMs ?? now - seen.since);
      seen.warnAt = now + seen.silenceMs;
      seen.silenceMs = Math.min(seen.silenceMs * 2, longestSilenceMs);
    }
    before = seenNow;
  };
}

function warn(
  logger: Logger,
  holder: statements.HorizonHolder & { deadRows: statements.DeadRows },
  heldMs: number,
): void {
  const { kind, id, application, role, state, command, remedy, deadRows } = holder;
  logger.warn(
    { kind, id, application, role, state, command, heldMs: Math.round(heldMs), deadRows, remedy },
    "an old snapshot keeps dead rows from being removed, and claims slow down: end its holder there, or by the remedy",
  );
}
