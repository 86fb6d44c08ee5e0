import { expect } from "vitest";
import { test } from "./demo-process.ts";

/* test/proof/demo/interrupted.test.ts interrupts at other moments. */

/** Enough that no crawl ends before it is interrupted. */
const slowCrawl = { args: ["--books", "300"], env: { SCRAPER_REQUEST_DELAY: "100" } };
const deadline = { timeout: 120_000 };

test("Ctrl-C in the middle of the crawl leaves nothing behind", deadline, async ({ startDemo }) => {
  const demo = await startDemo(slowCrawl);
  await demo.says(/^ .*\bpages [1-9]/m);

  demo.signalGroup("SIGINT");

  expect(await demo.exited, demo.output + demo.errors).toBe(130);
  expect(demo.errors).toBe("");
  expect(demo.output).toContain("\nStopping ...\n");
  await demo.leavesNothing();
});

test(
  "the workers and the database of a demo end when it is killed by SIGKILL in the middle of the crawl",
  deadline,
  async ({ startDemo }) => {
    const demo = await startDemo(slowCrawl);
    await demo.says(/^ .*\bpages [1-9]/m);

    demo.signal("SIGKILL");

    expect(await demo.exited).toBe("SIGKILL");
    await demo.leavesNothing();
  },
);
