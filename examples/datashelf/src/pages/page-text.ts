import { load, type CheerioAPI } from "cheerio";

/**
 * Parses as a browser without scripts does: the content of noscript counts, and broken HTML is
 * accepted.
 */
export function loadHtml(html: string): CheerioAPI {
  return load(html, { scriptingEnabled: false });
}

/**
 * Returns the text on one line. White space of any kind and length becomes one space, with none at
 * the ends. NUL is removed as well: HTML may contain it, but PostgreSQL cannot store it in text.
 */
export function oneLine(text: string): string {
  return text.replaceAll("\u0000", "").replaceAll(/\s+/g, " ").trim();
}
