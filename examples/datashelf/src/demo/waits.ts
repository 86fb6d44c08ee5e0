/** An attempt of a job, by the database's clock, in ms. */
export interface Attempt {
  /**
   * When it could start: when its job was enqueued, or when the wait before this attempt was over.
   */
  readyAt: number;
  startedAt: number;
  finishedAt: number;
}

/** The slots of a worker process over time, in ms by the database's clock. */
export interface Room {
  slots: number;
  fromAt: number;
  /** When its worker was declared dead; infinite if it is alive. */
  untilAt: number;
}

/** From ready to started, in ms: attempts for which a slot was free, and the others. */
export interface Waits {
  withFreeSlot: number[];
  withoutFreeSlot: number[];
}

/**
 * Separates the attempts for which a slot was free when they became ready from the others. A slot
 * was free if fewer attempts than slots had become ready before and were unfinished, running or
 * waiting.
 */
export function waitsOf(attempts: readonly Attempt[], rooms: readonly Room[]): Waits {
  const waits: Waits = { withFreeSlot: [], withoutFreeSlot: [] };
  const ends = attempts.map(({ finishedAt }) => finishedAt).toSorted((one, other) => one - other);
  let finished = 0;
  const byReady = attempts.toSorted((one, other) => one.readyAt - other.readyAt || one.startedAt - other.startedAt);
  for (const [before, { readyAt, startedAt }] of byReady.entries()) {
    while (finished < ends.length && ends[finished]! <= readyAt) finished += 1;
    const isFree = before - finished < slotsAt(rooms, readyAt);
    waits[isFree ? "withFreeSlot" : "withoutFreeSlot"].push(startedAt - readyAt);
  }
  return waits;
}

function slotsAt(rooms: readonly Room[], at: number): number {
  return rooms.reduce((sum, { slots, fromAt, untilAt }) => sum + (fromAt <= at && at < untilAt ? slots : 0), 0);
}

/** The number of times, and the values that half of them and 99 of 100 do not exceed. */
export interface Spread {
  count: number;
  p50: number;
  p99: number;
}

export function spreadOf(times: readonly number[]): Spread | undefined {
  const sorted = times.toSorted((one, other) => one - other);
  const at = (share: number) => sorted[Math.ceil(sorted.length * share) - 1]!;
  return sorted.length === 0 ? undefined : { count: sorted.length, p50: at(0.5), p99: at(0.99) };
}
