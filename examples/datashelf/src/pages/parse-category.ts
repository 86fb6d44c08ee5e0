import { canonicalUrl, isSameOrigin } from "./canonical-url.ts";
import { loadHtml, oneLine } from "./page-text.ts";

export interface ParsedCategory {
  name: string;
  /** Canonical, each once, in the order of the page. */
  bookUrls: string[];
  nextPageUrl: string | null;
}

/** Reads one page of a category. Links that leave the site are left out. */
export function parseCategory(html: string, pageUrl: string): ParsedCategory {
  const $ = loadHtml(html);
  const resolve = (href: string | undefined) => {
    const url = href === undefined ? null : canonicalUrl(href, pageUrl);
    return url && isSameOrigin(url, pageUrl) ? url : null;
  };
  const links = $(".card h2 a[href]")
    .toArray()
    .map((link) => resolve($(link).attr("href")));
  return {
    name: oneLine($("h1").first().text()),
    bookUrls: [...new Set(links.filter((url) => url !== null))],
    nextPageUrl: resolve($("a[rel~=next][href]").first().attr("href")),
  };
}
