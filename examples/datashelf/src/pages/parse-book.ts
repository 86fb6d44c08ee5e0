import type { CheerioAPI } from "cheerio";
import { UnreadableBookError } from "../errors.ts";
import { parseIsbn } from "../isbn.ts";
import { loadHtml, oneLine } from "./page-text.ts";
import { parsePrice, type Price } from "./parse-price.ts";

/**
 * A book as its page shows it. Fields that the page leaves out are null or empty; title and price
 * are always there.
 */
export interface ParsedBook {
  url: string;
  /** Thirteen digits with a correct check digit. */
  isbn: string | null;
  title: string;
  author: string | null;
  /** In pence or cents. */
  priceMinor: number;
  currency: string;
  /** From 0 to 5. */
  rating: number | null;
  isInStock: boolean;
  /** Paragraphs with an empty line between them. */
  description: string;
}

/** Reads the page of a book. Throws an UnreadableBookError if the title or the price is missing. */
export function parseBook(html: string, url: string): ParsedBook {
  const $ = loadHtml(html);
  const title = oneLine($("h1").first().text());
  const price = findPrice($);
  if (!title || !price) {
    throw new UnreadableBookError(url, [...(title ? [] : ["title" as const]), ...(price ? [] : ["price" as const])]);
  }
  return {
    url,
    isbn: parseIsbn($("[itemprop=isbn]").first().text()),
    title,
    author: oneLine($("[itemprop=author]").first().text()) || null,
    ...price,
    rating: findRating($),
    isInStock: /^in stock/i.test(oneLine($(".stock").first().text())),
    description: findDescription($),
  };
}

/** The visible price, else the price in the page's metadata. */
function findPrice($: CheerioAPI): Price | null {
  const shown = parsePrice(oneLine($(".price").first().text()));
  if (shown) return shown;
  const amount = $("meta[itemprop=price]").attr("content");
  const currency = $("meta[itemprop=priceCurrency]").attr("content");
  return amount === undefined ? null : parsePrice(amount, currency);
}

function findRating($: CheerioAPI): number | null {
  const stars = /^([0-5](?:\.\d+)?) out of 5/.exec(oneLine($(".rating").first().text()))?.[1];
  return stars === undefined ? null : Math.min(Number(stars), 5);
}

function findDescription($: CheerioAPI): string {
  const description = $(".description").first();
  const paragraphs = description
    .find("p")
    .toArray()
    .map((paragraph) => oneLine($(paragraph).text()))
    .filter(Boolean);
  return paragraphs.length > 0 ? paragraphs.join("\n\n") : oneLine(description.text());
}
