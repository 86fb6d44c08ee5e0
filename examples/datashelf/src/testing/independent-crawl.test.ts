import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { serveFolder, type StaticSite } from "../static-site.ts";
import { genericCrawl } from "./generic-crawl.ts";
import { countByStatus, independentCrawl } from "./independent-crawl.ts";
import { oddSiteCounts, writeOddSite } from "./odd-site.ts";

let folder: string;
let site: StaticSite;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "datashelf-crawl-"));
  await writeOddSite(folder);
  site = await serveFolder(folder);
});
afterAll(async () => {
  await site.close();
  await rm(folder, { recursive: true });
});

test("DataShelf and an independent crawl agree on every page, link and status of a site", async () => {
  const independent = await independentCrawl(site.url);
  const product = await genericCrawl(site.url);

  const judged = (pages: typeof product) =>
    new Map([...pages].map(([url, { status, links }]) => [url, { status, links: links.toSorted() }]));
  expect(judged(product)).toEqual(judged(independent));
  expect(countByStatus(product)).toEqual(oddSiteCounts);
});
