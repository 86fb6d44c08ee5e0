import { expect, test } from "vitest";
import { decodeHtml, parseBook } from "../pages/index.ts";
import { breakHtml, withoutField } from "./break-html.ts";
import { bookPath, makeCatalogue } from "./make-catalogue.ts";
import { breakages } from "./make-troubles.ts";
import { renderBook } from "./render-book.ts";
import { makeFacts } from "./shop-facts.ts";

const origin = "http://shop.test";
const catalogue = makeCatalogue({ seed: 11, books: 80 });
const expected = makeFacts({ ...catalogue, troubles: new Map() }, origin).books;

test.each(breakages)(
  "the page of any book that is broken as %s is a different page, but reads the same",
  (breakage) => {
    for (const book of catalogue.books) {
      const sound = renderBook(catalogue, book);
      const { body, contentType } = breakHtml(sound, breakage, book);
      expect(body.equals(Buffer.from(sound))).toBe(false);
      const url = origin + bookPath(book);
      expect(parseBook(decodeHtml(body, contentType), url)).toEqual(expected.get(url));
    }
  },
);

test.each(["title", "price"] as const)(
  "the page of any book without its %s cannot be read for that reason alone",
  (lacks) => {
    for (const book of catalogue.books) {
      expect(() => parseBook(withoutField(renderBook(catalogue, book), lacks, book), origin)).toThrow(
        `shows no ${lacks}:`,
      );
    }
  },
);
