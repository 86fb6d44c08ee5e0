import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect } from "vitest";
import { test } from "../../demo/demo-process.ts";

/** Enough that no crawl ends before it is interrupted. */
const slowCrawl = { args: ["--books", "300"], env: { SCRAPER_REQUEST_DELAY: "100" } };
const deadline = { timeout: 120_000 };

/** The exit of a process that was interrupted, also of one that could not handle signals yet. */
const cutShort = [130, "SIGINT"];

/* test/demo/interrupted.test.ts interrupts the middle of the crawl. */

describe("Ctrl-C leaves nothing behind", () => {
  test.for([100, 500])("after %i ms", deadline, async (ms, { startDemo }) => {
    const demo = await startDemo(slowCrawl);
    await sleep(ms); // no fact to wait for: any moment must work

    demo.signalGroup("SIGINT");

    expect(cutShort).toContain(await demo.exited);
    expect(demo.errors).toBe("");
    await demo.leavesNothing();
  });

  test.for([
    ["while PostgreSQL starts", /^Starting an embedded PostgreSQL/m],
    ["when PostgreSQL is up", /PostgreSQL .* is up/],
    ["while the workers start", /^A shop of 300 books opened/m],
    ["when the crawl begins", /^Crawling /m],
  ] as const)("%s", deadline, async ([, moment], { startDemo }) => {
    const demo = await startDemo(slowCrawl);
    await demo.says(moment);

    demo.signalGroup("SIGINT");

    expect(await demo.exited, demo.output + demo.errors).toBe(130);
    expect(demo.errors).toBe("");
    expect(demo.output).toContain("\nStopping ...\n");
    await demo.leavesNothing();
  });

  test("even when it is pressed again and again", deadline, async ({ startDemo }) => {
    const demo = await startDemo(slowCrawl);
    await demo.says(/ books [1-9]/);

    const over = demo.exited.then(() => true);
    do demo.signalGroup("SIGINT");
    while (!(await Promise.race([over, sleep(50, false)])));

    expect(cutShort).toContain(await demo.exited); // the last one may come when the process has already finished
    await demo.leavesNothing();
  });
});

test("SIGTERM to the demo alone ends it and everything that it started", deadline, async ({ startDemo }) => {
  const demo = await startDemo(slowCrawl);
  await demo.says(/ books [1-9]/);

  demo.signal("SIGTERM");

  expect(await demo.exited, demo.output + demo.errors).toBe(130);
  expect(demo.errors).toBe("");
  await demo.leavesNothing();
});

test(
  "the workers and the database of a demo end when it is killed by SIGKILL while its workers start",
  deadline,
  async ({ startDemo }) => {
    const demo = await startDemo(slowCrawl);
    await demo.says(/^A shop of 300 books opened/m);

    demo.signal("SIGKILL");

    expect(await demo.exited).toBe("SIGKILL");
    await demo.leavesNothing();
  },
);
