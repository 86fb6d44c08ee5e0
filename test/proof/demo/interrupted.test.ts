import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect } from "vitest";
import { test } from "../../demo/demo-process.ts";

/** Enough that no crawl ends before it is interrupted. */
const slowCrawl = { args: ["--books", "300"], env: { SCRAPER_REQUEST_DELAY: "100" } };
const deadline = { timeout: 120_000 };

/** Also what a terminal tells of a process that a Ctrl-C ended before it could listen to any. */
const cutShort = [130, "SIGINT"];

/* In the middle of the crawl: test/demo/interrupted.test.ts. */

describe("Ctrl-C leaves nothing behind", () => {
  test.for([100, 500])("after %i ms", deadline, async (ms, { startDemo }) => {
    const demo = await startDemo(slowCrawl);
    await sleep(ms); // no fact to wait for: whatever it does by then is to be cut short

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

  test("also when it is pressed again and again", deadline, async ({ startDemo }) => {
    const demo = await startDemo(slowCrawl);
    await demo.says(/ books [1-9]/);

    const over = demo.exited.then(() => true);
    do demo.signalGroup("SIGINT");
    while (!(await Promise.race([over, sleep(50, false)])));

    expect(cutShort).toContain(await demo.exited); // the last one may meet a process that has nothing left to do
    await demo.leavesNothing();
  });
});

test("SIGTERM to the demo alone ends it and all that it started", deadline, async ({ startDemo }) => {
  const demo = await startDemo(slowCrawl);
  await demo.says(/ books [1-9]/);

  demo.signal("SIGTERM");

  expect(await demo.exited, demo.output + demo.errors).toBe(130);
  expect(demo.errors).toBe("");
  await demo.leavesNothing();
});

test(
  "a demo killed by SIGKILL while its workers start takes them and its database with it",
  deadline,
  async ({ startDemo }) => {
    const demo = await startDemo(slowCrawl);
    await demo.says(/^A shop of 300 books opened/m);

    demo.signal("SIGKILL");

    expect(await demo.exited).toBe("SIGKILL");
    await demo.leavesNothing();
  },
);
