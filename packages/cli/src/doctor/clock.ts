import { doctor } from "@hark/core";
import { type Check, ok, spoken, warn } from "./check.ts";

/** Difference from which run_at and timestamps in logs no longer fit together, in ms. */
const mostSkewMs = 1_000;

/** This process's clock against the server's, which decides what is due. */
export const clockCheck: Check = {
  name: "clock",
  needs: "connection",
  async run({ db }) {
    const { skewMs, errorMs } = await doctor.measureClockSkew(db);
    const facts = { skewMs: Math.round(skewMs), errorMs: Math.round(errorMs) };
    const message = `the server's clock is ${spoken(Math.abs(skewMs))} ${skewMs < 0 ? "behind" : "ahead of"} this machine's`;
    if (Math.abs(skewMs) - errorMs <= mostSkewMs) return ok(message, facts);
    return warn(message, "Let both follow NTP: a runAt made here means another moment there.", facts);
  },
};
