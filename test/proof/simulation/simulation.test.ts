import * as worker from "@hark/worker/internal";
import { expect } from "vitest";
import { test } from "../../setup/fixtures.ts";
import { repeats } from "../../support/long.ts";
import { seedOfRun } from "../../support/random.ts";
import { check } from "./check.ts";
import { Server } from "./server.ts";

/** SIMULATION_RUNS, or some 20 s of them; LONG=1 runs 50,000. */
const runs = Number(process.env["SIMULATION_RUNS"] ?? repeats({ few: 300, full: 50_000 }));
const seed = Number(process.env["SIMULATION_SEED"] ?? seedOfRun());

test(
  `${runs} worlds in which answers are lost, late or doubled and workers stop, die and stand still keep every promise`,
  { tags: ["ONCE-2"], timeout: 120_000 + runs * 2_000 },
  async ({ databaseUrl }) => {
    await using server = await Server.open(databaseUrl);
    const verdict = await check(worker, {
      server,
      seed,
      path: process.env["SIMULATION_PATH"],
      runs,
      isShrunk: process.env["SIMULATION_SHRINK"] === "1",
    });
    expect(verdict.failed, verdict.report).toBe(false);
    process.stdout.write(`${JSON.stringify({ seed, ...verdict.seen })}\n`);
  },
);
