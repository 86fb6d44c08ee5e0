/** One page of an independent crawl. */
export interface CrawledPage {
  /** The status of the last attempt; 0 if no response came. */
  status: number;
  attempts: number;
  /** Same-origin links of the page, read by this crawl's own rules. */
  links: string[];
}

/**
 * Crawls a site breadth first, one page at a time. Returns every page by URL. It checks DataShelf
 * and so shares nothing with it: no Hark, no cheerio, no canonicalUrl; links are found by regular
 * expressions. Pages that do not respond with 200 are tried again at once.
 */
export async function independentCrawl(
  startUrl: string,
  { attempts = 3 }: { attempts?: number } = {},
): Promise<Map<string, CrawledPage>> {
  const pages = new Map<string, CrawledPage>();
  const queue = [plainUrl(startUrl, startUrl) ?? startUrl];
  const seen = new Set(queue);
  for (let url = queue.shift(); url !== undefined; url = queue.shift()) {
    const page = await visit(url, attempts);
    pages.set(url, page);
    for (const link of page.links) {
      if (seen.has(link)) continue;
      seen.add(link);
      queue.push(link);
    }
  }
  return pages;
}

/** How many pages ended with each status, such as `{ 200: 310, 404: 3 }`. */
export function countByStatus(pages: ReadonlyMap<string, { status: number }>): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const { status } of pages.values()) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

async function visit(url: string, attempts: number): Promise<CrawledPage> {
  let status = 0;
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    const response = await fetch(url).catch(() => null);
    status = response?.status ?? 0;
    const html = (await response?.text()) ?? "";
    if (response && status === 200) {
      const isPage = /html/.test(response.headers.get("content-type") ?? "");
      return { status, attempts: attempt, links: isPage ? findLinks(html, response.url) : [] };
    }
    if (status === 404) return { status, attempts: attempt, links: [] };
  }
  return { status, attempts, links: [] };
}

/** Removes what is not markup, then reads the href of each `a` and `area`. */
function findLinks(html: string, pageUrl: string): string[] {
  const markup = html
    .replaceAll(/<!--[\s\S]*?(-->|$)/g, "")
    .replaceAll(/<(script|style|template|textarea|title)[\s>][\s\S]*?<\/\1\s*>/gi, "");
  const [base = pageUrl] = hrefs(markup, "base");
  const resolved = hrefs(markup, "a|area").map((href) => plainUrl(href, new URL(base, pageUrl).href));
  const origin = new URL(pageUrl).origin;
  return [...new Set(resolved.filter((url) => url !== null && new URL(url).origin === origin))] as string[];
}

function hrefs(markup: string, tags: string): string[] {
  const tag = new RegExp(`<(?:${tags})(?=[\\s/])((?:[^>"']|"[^"]*"|'[^']*')*)>`, "gi");
  return [...markup.matchAll(tag)].flatMap(([, attributes = ""]) => {
    const found = /(?:^|[\s"'])href\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))/i.exec(attributes);
    const href = found?.[1] ?? found?.[2] ?? found?.[3];
    return href === undefined ? [] : [href.replaceAll(/&(#\d+|#x[\da-f]+|\w+);/gi, entity)];
  });
}

function entity(written: string, name: string): string {
  if (/^#x/i.test(name)) return String.fromCodePoint(Number.parseInt(name.slice(2), 16));
  if (name.startsWith("#")) return String.fromCodePoint(Number(name.slice(1)));
  return { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" }[name.toLowerCase()] ?? written;
}

/** One address per page, as in DataShelf, but written a second time on purpose. */
function plainUrl(href: string, base: string): string | null {
  let text: string;
  try {
    text = new URL(href, base).href;
  } catch {
    return null;
  }
  if (!/^https?:/.test(text)) return null;
  const [address = "", query = ""] = (text.split("#")[0] ?? "").split(/\?(.*)/s);
  const kept = query
    .split("&")
    .filter((part) => part !== "" && !part.toLowerCase().startsWith("utm_"))
    .join("&");
  return kept === "" ? address : `${address}?${kept}`;
}
