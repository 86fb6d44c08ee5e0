/**
 * The longest URL that is followed, in bytes. A key of a btree index in PostgreSQL holds about 2,700 bytes
 * (a third of a page), and the URL shares it with the crawl's id; longer ones are traps of calendars and sessions.
 */
export const maxUrlBytes = 2000;

/**
 * Answers the one address under which a link is known, or null where it leads to no web page (mailto:, javascript:,
 * malformed, too long). The fragment, credentials and `utm_*` parameters are dropped, scheme and host become lower case
 * and a default port goes; everything else, also the order and spelling of other parameters, stays as it is written.
 */
export function canonicalUrl(href: string, base?: string): string | null {
  if (!URL.canParse(href, base)) return null;
  const url = new URL(href, base);
  if (url.protocol !== "http:" && url.protocol !== "https:") return null;

  url.hash = "";
  url.username = ""; // fetch refuses URLs with credentials, and they have no place in a table of pages
  url.password = "";
  url.search = withoutTracking(url.search);
  return url.href.length <= maxUrlBytes ? url.href : null; // a URL is written in ASCII: characters are bytes
}

/** Answers whether two canonical URLs belong to one site: same scheme, host and port. */
export function isSameOrigin(url: string, other: string): boolean {
  return new URL(url).origin === new URL(other).origin;
}

/** Cuts the text rather than using URLSearchParams, which would respell the parameters that stay. */
function withoutTracking(search: string): string {
  const kept = search
    .slice(1)
    .split("&")
    .filter((parameter) => !/^utm(_|%5f)/i.test(parameter));
  return kept.join("&");
}
