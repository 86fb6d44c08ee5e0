/**
 * How far the machine's wall clock was ahead of its monotonic clock when the campaign began, in ms.
 * The campaign passes it to its processes, since some have a wall clock that is an hour wrong. The
 * monotonic clock is never faked.
 */
const aheadMs = Number(process.env["CAMPAIGN_CLOCK_AHEAD"] ?? Date.now() - monotonicMs());

/** Environment for a process that must use the same time. */
export const clockEnvironment = { CAMPAIGN_CLOCK_AHEAD: String(aheadMs) };

/**
 * The machine's wall clock in ms, with fractions. It is the same for all processes of a campaign
 * and for the database.
 */
export function now(): number {
  return Math.round((monotonicMs() + aheadMs) * 1_000) / 1_000;
}

function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
