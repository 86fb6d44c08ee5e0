/**
 * What the machine's wall clock is ahead of its monotonic one, in ms, as the campaign found it when it began. Its processes are
 * told, since some of them live with a wall clock that is an hour wrong; no clock is faked that this one is made of.
 */
const aheadMs = Number(process.env["CAMPAIGN_CLOCK_AHEAD"] ?? Date.now() - monotonicMs());

/** For the environment of a process that shall count in the same time. */
export const clockEnvironment = { CAMPAIGN_CLOCK_AHEAD: String(aheadMs) };

/** The machine's wall clock, in ms and parts of it: the same for all processes of a campaign, and the database's. */
export function now(): number {
  return Math.round((monotonicMs() + aheadMs) * 1_000) / 1_000;
}

function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
