import { fetchPage, isHtml, parseGeneric } from "../pages/index.ts";
import type { CrawledPage } from "./independent-crawl.ts";

/**
 * Crawls a site with DataShelf's own fetching and parsing, but without the queue. The result is
 * compared with an independent crawl to show that both read pages alike.
 */
export async function genericCrawl(startUrl: string): Promise<Map<string, CrawledPage>> {
  const pages = new Map<string, CrawledPage>();
  const queue = [startUrl];
  const seen = new Set(queue);
  for (let url = queue.shift(); url !== undefined; url = queue.shift()) {
    const { status, contentType, body, finalUrl } = await fetchPage(url);
    const links = status === 200 && isHtml(contentType) ? parseGeneric(body, finalUrl).links : [];
    pages.set(url, { status, attempts: 1, links });
    for (const link of links) {
      if (seen.has(link)) continue;
      seen.add(link);
      queue.push(link);
    }
  }
  return pages;
}
