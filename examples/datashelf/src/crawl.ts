import { drizzle } from "drizzle-orm/node-postgres";
import type { Pool } from "pg";
import type { Producer } from "pg-hark";
import { discoverLinks } from "./discover-links.ts";
import { jobByKind } from "./jobs.ts";
import { canonicalUrl } from "./pages/canonical-url.ts";
import { crawls } from "./schema.ts";

export interface CrawlRequest {
  /** `shop` reads books, `site` reads any pages. */
  mode: "shop" | "site";
  startUrl: string;
  /** The most pages to fetch; undefined fetches all of them. */
  limit?: number | undefined;
  /** Attempts of each page, including the first. */
  retryAttempts: number;
}

/**
 * Starts a crawl: records its first URL and enqueues it, in one transaction. Returns the crawl's
 * id.
 */
export async function startCrawl(
  pool: Pool,
  producer: Producer,
  { mode, startUrl, limit, retryAttempts }: CrawlRequest,
): Promise<number> {
  const url = canonicalUrl(startUrl, startUrl);
  if (!url) throw new Error(`${startUrl} cannot be crawled: give an address that starts with http:// or https://`);

  return drizzle(pool).transaction(async (tx) => {
    const [crawl] = await tx
      .insert(crawls)
      .values({ mode, startUrl: url, pageLimit: limit })
      .returning({ id: crawls.id });
    const kind = mode === "shop" ? "navigation" : "page";
    await discoverLinks(tx, { crawlId: crawl!.id, foundOn: null, links: [{ url, kind }] });
    await producer
      .in(tx)
      .enqueue(jobByKind[kind], { target_url: url, metadata: { crawl_id: crawl!.id } }, { maxAttempts: retryAttempts });
    return crawl!.id;
  });
}
