import * as worker from "@hark/worker/internal";
import { expect } from "vitest";
import { test as base } from "../../setup/fixtures.ts";
import { repeats } from "../../support/long.ts";
import { seedOfRun } from "../../support/random.ts";
import { check } from "./check.ts";
import { Server } from "./server.ts";

const test = base.extend("simulated", { scope: "file" }, async ({ databaseUrl }, { onCleanup }) => {
  const server = await Server.open(databaseUrl);
  onCleanup(() => server[Symbol.asyncDispose]());
  return server;
});

/** SIMULATION_RUNS, or some 20 s of them on two idle cores; LONG=1 runs 10,000. */
const runs = Number(process.env["SIMULATION_RUNS"] ?? repeats({ few: 80, full: 10_000 }));
const seed = Number(process.env["SIMULATION_SEED"] ?? seedOfRun());

test(
  `${runs} worlds in which answers are lost, late or doubled and workers stop, die and stand still keep every promise`,
  { tags: ["ONCE-2"], timeout: 120_000 + runs * 2_000 },
  async ({ simulated: server }) => {
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

test(
  "a seed replays to the same story, whatever the server did before",
  { timeout: 120_000 },
  async ({ simulated: server }) => {
    const live = async () => {
      const stories: string[] = [];
      const verdict = await check(worker, {
        server,
        seed,
        runs: 6,
        isShrunk: false,
        tell: (story) => stories.push(...story),
      });
      expect(verdict.failed, verdict.report).toBe(false);
      return stories;
    };

    expect(await live()).toEqual(await live());
  },
);
