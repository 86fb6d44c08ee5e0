import { canonicalUrl, isSameOrigin } from "./canonical-url.ts";
import { loadHtml, oneLine } from "./page-text.ts";

export interface ParsedNavigation {
  title: string;
  categories: { name: string; url: string }[];
}

/** Reads the shop's menu: every category once, in the order of the page, with its canonical URL. */
export function parseNavigation(html: string, pageUrl: string): ParsedNavigation {
  const $ = loadHtml(html);
  const names = new Map<string, string>();
  for (const link of $("nav.categories a[href]").toArray()) {
    const url = canonicalUrl($(link).attr("href") ?? "", pageUrl);
    if (url && isSameOrigin(url, pageUrl) && !names.has(url)) names.set(url, oneLine($(link).text()));
  }
  return { title: oneLine($("title").first().text()), categories: [...names].map(([url, name]) => ({ name, url })) };
}
