/**
 * The longest URL that is followed, in bytes. A key of a btree index in PostgreSQL holds about
 * 2,700 bytes (a third of a page), and the URL shares it with the crawl's id. Longer URLs come from
 * endless calendars and sessions.
 */
export const maxUrlBytes = 2000;

/**
 * Returns the one address under which a link is known, or null if it leads to no web page (mailto:,
 * javascript:, malformed, too long). Drops the fragment, credentials, `utm_*` parameters and a
 * default port. Writes scheme and host in lower case. Everything else stays as it is written, also
 * the order and spelling of other parameters.
 */
export function canonicalUrl(href: string, base?: string): string | null {
  if (!URL.canParse(href, base)) return null;
  const url = new URL(href, base);
  if (url.protocol !== "http:" && url.protocol !== "https:") return null;

  url.hash = "";
  url.username = ""; // fetch rejects URLs with credentials, and they must not be stored with pages
  url.password = "";
  url.search = withoutTracking(url.search);
  return url.href.length <= maxUrlBytes ? url.href : null; // a URL is written in ASCII: characters are bytes
}

/** Returns whether two canonical URLs belong to one site: same scheme, host and port. */
export function isSameOrigin(url: string, other: string): boolean {
  return new URL(url).origin === new URL(other).origin;
}

/** Cuts the text. URLSearchParams would change the spelling of the parameters that stay. */
function withoutTracking(search: string): string {
  const kept = search
    .slice(1)
    .split("&")
    .filter((parameter) => !/^utm(_|%5f)/i.test(parameter));
  return kept.join("&");
}
