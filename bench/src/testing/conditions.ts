import type { Conditions } from "../conditions.ts";

/** Conditions like those of a real bench run, for tests of tables and charts. */
export const conditions: Conditions = {
  measuredAt: "2026-11-24T10:20:30.000Z",
  commit: "aaaaaaa",
  machine: "2 x EPYC, 24 GiB",
  node: "24.0.0",
  stores: ["PostgreSQL 18.4 (fsync on)", "Redis 8.0.2 (appendfsync everysec)"],
  rounds: 3,
  isQuick: false,
  tookSeconds: 61.4,
  adapters: [
    { name: "hark", version: "this repository", options: "defaults" },
    { name: "peer", packageName: "peer", version: "1.2.3", options: "tuned" },
  ],
  leftOut: [],
};
