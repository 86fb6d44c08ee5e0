import type { Queryable } from "../database.ts";

export interface ClockSkew {
  /** How far the server's clock is ahead of this process's, in ms; negative if it is behind. */
  readonly skewMs: number;
  /** Half of the time that the question took: the skew is no more exact than this. */
  readonly errorMs: number;
}

const samples = 3;

/**
 * This process's clock against the server's, which decides what is due. The quickest of a few
 * questions is the most exact.
 */
export async function measureClockSkew(db: Queryable): Promise<ClockSkew> {
  let best = await measure(db);
  for (let taken = 1; taken < samples; taken += 1) {
    const next = await measure(db);
    if (next.errorMs < best.errorMs) best = next;
  }
  return best;
}

async function measure(db: Queryable): Promise<ClockSkew> {
  const before = Date.now();
  const { rows } = await db.query({
    text: `select extract(epoch from clock_timestamp())::float8 * 1000 as now_ms`,
    values: [],
  });
  const after = Date.now();
  return { skewMs: Number(rows[0]?.now_ms) - (before + after) / 2, errorMs: (after - before) / 2 };
}
