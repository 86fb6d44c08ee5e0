import { type Check, ok, spoken, type Patient, warn } from "./check.ts";

/** Difference from which run_at and timestamps in logs no longer fit together, in ms. */
const mostSkewMs = 1_000;

const samples = 3;

/** This process's clock against the server's, which decides what is due. The quickest of a few questions is the most exact. */
export const clockCheck: Check = {
  name: "clock",
  needs: "connection",
  async examine({ db }) {
    let best = await measure(db);
    for (let taken = 1; taken < samples; taken += 1) {
      const next = await measure(db);
      if (next.errorMs < best.errorMs) best = next;
    }
    const { skewMs, errorMs } = best;
    const facts = { skewMs: Math.round(skewMs), errorMs: Math.round(errorMs) };
    const message = `the server's clock is ${spoken(Math.abs(skewMs))} ${skewMs < 0 ? "behind" : "ahead of"} this machine's`;
    if (Math.abs(skewMs) - errorMs <= mostSkewMs) return ok(message, facts);
    return warn(message, "Let both follow NTP: a runAt made here means another moment there.", facts);
  },
};

async function measure(db: Patient["db"]): Promise<{ skewMs: number; errorMs: number }> {
  const before = Date.now();
  const { rows } = await db.query({
    text: `select extract(epoch from clock_timestamp())::float8 * 1000 as now_ms`,
    values: [],
  });
  const after = Date.now();
  return { skewMs: Number(rows[0]?.now_ms) - (before + after) / 2, errorMs: (after - before) / 2 };
}
