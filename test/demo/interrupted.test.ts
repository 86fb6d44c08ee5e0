import { expect } from "vitest";
import { test } from "./demo-process.ts";

/* At every other moment: test/proof/demo/interrupted.test.ts. */

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
  "a demo killed by SIGKILL in the middle of the crawl takes its workers and its database with it",
  deadline,
  async ({ startDemo }) => {
    const demo = await startDemo(slowCrawl);
    await demo.says(/^ .*\bpages [1-9]/m);

    demo.signal("SIGKILL");

    expect(await demo.exited).toBe("SIGKILL");
    await demo.leavesNothing();
  },
);
