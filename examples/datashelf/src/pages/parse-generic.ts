import { canonicalUrl, isSameOrigin } from "./canonical-url.ts";
import { loadHtml, oneLine } from "./page-text.ts";

export interface ParsedPage {
  title: string;
  /** The number of visible characters, with white space as single spaces. */
  textLength: number;
  /** Canonical, of the page's own origin, each once, in the order of the page. */
  links: string[];
}

/**
 * Reads any HTML page for a crawl of its site.
 *
 * Links are the `href` of every `a` and `area`, resolved against the first `base href` if there is
 * one, made canonical, and kept if scheme, host and port are those of `pageUrl`. Not followed:
 * `link` in the head (its `next`, `prev` and `up` name pages for machines, and people cannot reach
 * those), frames, forms, images, and links in comments, scripts or templates. `rel=nofollow` is
 * followed: it is about ranking, not about permission.
 */
export function parseGeneric(html: string, pageUrl: string): ParsedPage {
  const $ = loadHtml(html);
  const base = $("base[href]").first().attr("href");
  const baseUrl = base !== undefined && URL.canParse(base, pageUrl) ? new URL(base, pageUrl).href : pageUrl;
  const title = oneLine($("title").first().text());

  $("template").remove();
  const links = new Set<string>();
  for (const element of $("a[href], area[href]").toArray()) {
    const url = canonicalUrl($(element).attr("href") ?? "", baseUrl);
    if (url && isSameOrigin(url, pageUrl)) links.add(url);
  }

  $("script, style, noscript, [hidden]").remove();
  return { title, textLength: Array.from(oneLine($("body").text())).length, links: [...links] };
}
