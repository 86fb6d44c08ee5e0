import { load, type CheerioAPI } from "cheerio";

/** Parses as a browser without scripts does: what stands in noscript counts, and no HTML is too broken. */
export function loadHtml(html: string): CheerioAPI {
  return load(html, { scriptingEnabled: false });
}

/**
 * Answers the text on one line: white space of any kind and length is one space, none at the ends. NUL is taken out
 * as well: HTML may write it, and PostgreSQL stores no text that holds it.
 */
export function oneLine(text: string): string {
  return text.replaceAll("\u0000", "").replaceAll(/\s+/g, " ").trim();
}
