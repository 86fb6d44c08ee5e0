import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { expect } from "vitest";
import { startShop } from "../../examples/datashelf/dist/shop/start-shop.js";
import { serveFolder } from "../../examples/datashelf/dist/static-site.js";
import { countByStatus, independentCrawl } from "../../examples/datashelf/dist/testing/independent-crawl.js";
import { oddSiteCounts, writeOddSite } from "../../examples/datashelf/dist/testing/odd-site.js";
import { test as base } from "./demo-process.ts";
import { readSummary } from "./summary.ts";

/** More than a thousand real pages, on machines that have the package. */
const manual = "/usr/share/doc/postgresql-doc-15/html";

/**
 * A test with `crawl`: crawls a folder with the demo, then independently. Returns what each found
 * and requested.
 */
const test = base.extend("crawl", async ({ server, startDemo }) => async (folder: string) => {
  await using site = await opened(folder);
  const url = await server.createDatabase();
  const demo = await startDemo({ args: ["--database", url, "--site", site.url], env: { SCRAPER_REQUEST_DELAY: "0" } });
  expect(await demo.exited, demo.output + demo.errors).toBe(0);
  const requests = new Map(site.requests);

  const independent = await independentCrawl(site.url);
  const ofIndependent = new Map([...site.requests].map(([path, count]) => [path, count - (requests.get(path) ?? 0)]));
  return {
    summary: readSummary(demo.output),
    byDemo: { requests, statuses: await storedStatuses(url) },
    independently: {
      requests: ofIndependent,
      statuses: new Map([...independent].map(([page, { status }]) => [page, status])),
      counts: countByStatus(independent),
    },
  };
});

async function opened(folder: string) {
  const site = await serveFolder(folder);
  return { url: site.url, requests: site.requests, [Symbol.asyncDispose]: () => site.close() };
}

/** The status of each page that the demo stored, by URL. */
async function storedStatuses(url: string): Promise<Map<string, number>> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ url: string; status: number }>(
      "select url, status from datashelf.pages where fetch_count = 1",
    );
    return new Map(rows.map((row) => [row.url, row.status]));
  } finally {
    await client.end();
  }
}

test(
  "every page of a small site with odd links is fetched exactly once, as an independent crawl finds them",
  { timeout: 120_000 },
  async ({ crawl, onTestFinished }) => {
    const folder = await mkdtemp(join(tmpdir(), "hark-site-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    await writeOddSite(folder);

    const { summary, byDemo, independently } = await crawl(folder);

    expect(independently.counts).toEqual(oddSiteCounts);
    expect(byDemo).toEqual({ requests: independently.requests, statuses: independently.statuses });
    expect([...byDemo.requests.values()].every((count) => count === 1)).toBe(true);
    expect(summary).toMatchObject({
      pages: independently.statuses.size,
      jobs: independently.statuses.size,
      retries: 0,
      deadLetters: {},
    });
  },
);

test.runIf(existsSync(manual))(
  "every page of the PostgreSQL manual is fetched exactly once, as an independent crawl finds them",
  { timeout: 300_000 },
  async ({ crawl }) => {
    const { summary, byDemo, independently } = await crawl(manual);

    expect(independently.counts[200]).toBeGreaterThan(1_000);
    expect(byDemo).toEqual({ requests: independently.requests, statuses: independently.statuses });
    expect([...byDemo.requests.values()].every((count) => count === 1)).toBe(true);
    expect(summary).toMatchObject({
      pages: independently.statuses.size,
      jobs: independently.statuses.size,
      retries: 0,
      deadLetters: {},
    });
    report(`The manual: ${JSON.stringify(independently.counts)} pages by status, ${summary.jobsPerSecond} jobs/s.`);
  },
);

if (!existsSync(manual)) report(`There is no ${manual}: only the small site was crawled.`);

test(
  "the delay between two requests to one host holds across both processes",
  { timeout: 120_000 },
  async ({ startDemo, onTestFinished }) => {
    const shop = await startShop({ seed: 5, books: 60, pace: 0 });
    onTestFinished(() => shop.close());

    const demo = await startDemo({ args: ["--site", shop.url], env: { SCRAPER_REQUEST_DELAY: "50" } });
    expect(await demo.exited, demo.output + demo.errors).toBe(0);

    // The machine delays requests, in the crawler and in this process. One gap may be short, but
    // not several in a row. A stall of 375 ms takes 15 ms off the average of the gaps after it; two
    // processes that know nothing of each other would be at 25 ms.
    const arrivals = shop.facts.requests.entries.map(({ at }) => at);
    expect(arrivals.length).toBeGreaterThan(60);
    const averages = (gaps: number) => arrivals.slice(gaps).map((at, index) => (at - arrivals[index]!) / gaps);
    expect(Math.min(...averages(25))).toBeGreaterThanOrEqual(35);
    const single = averages(1).toSorted((one, other) => one - other);
    expect(single[Math.floor(single.length / 2)]).toBeGreaterThanOrEqual(45);
  },
);

function report(line: string): void {
  process.stdout.write(`${line}\n`);
}
