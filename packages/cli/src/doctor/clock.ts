import { doctor } from "@hark/core";
import { type Check, ok, spoken, warn } from "./check.ts";

/**
 * Largest difference that is accepted, in ms. Beyond it, run_at and timestamps in logs no longer
 * match.
 */
const mostSkewMs = 1_000;

/** Compares this machine's clock with the server's, which decides when a job is due. */
export const clockCheck: Check = {
  name: "clock",
  needs: "connection",
  async run({ db }) {
    const { skewMs, errorMs } = await doctor.measureClockSkew(db);
    const facts = { skewMs: Math.round(skewMs), errorMs: Math.round(errorMs) };
    const message = `the server's clock is ${spoken(Math.abs(skewMs))} ${skewMs < 0 ? "behind" : "ahead of"} this machine's`;
    if (Math.abs(skewMs) - errorMs <= mostSkewMs) return ok(message, facts);
    return warn(
      message,
      "Synchronize both clocks by NTP: a runAt computed here is early or late on the server.",
      facts,
    );
  },
};
