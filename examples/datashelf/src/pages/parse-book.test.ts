import { expect, test } from "vitest";
import { UnreadableBookError } from "../errors.ts";
import { parseBook } from "./parse-book.ts";

const url = "http://shop.test/books/x";

test("a page that shows only title and price is a book with empty fields", () => {
  expect(parseBook("<h1> Salt\n &amp; Stone </h1><p class=price>£5", url)).toEqual({
    url,
    title: "Salt & Stone",
    priceMinor: 500,
    currency: "GBP",
    isbn: null,
    author: null,
    rating: null,
    isInStock: false,
    description: "",
  });
});

test("details that cannot be read are left out, not guessed", () => {
  const book = parseBook(
    `<h1>X</h1><p class=price>£5</p><p class=rating>11 out of 5</p>
    <dd itemprop=isbn>978-0-306-40615-8</dd><p class=stock>Out of stock</p><div class=description>No &lt;p&gt; here</div>`,
    url,
  );
  expect(book).toMatchObject({ rating: null, isbn: null, isInStock: false, description: "No <p> here" });
});

test("no field contains NUL, which PostgreSQL cannot store", () => {
  const book = parseBook("<h1>A\0B&#0;</h1><p class=price>£5</p><div class=description><p>a\0b</div>", url);
  expect(JSON.stringify(book)).not.toContain("\\u0000");
});

test.each([
  ["<p class=price>£5", ["title"]],
  ["<h1></h1><p class=price>£5", ["title"]],
  ["<h1>X</h1><p class=price>Price on request", ["price"]],
  ["<h1>X</h1>", ["price"]],
  ["", ["title", "price"]],
])("%s is rejected with the missing fields", (html, missing) => {
  let error: unknown;
  try {
    parseBook(html, url);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(UnreadableBookError);
  expect(error).toMatchObject({ code: "UNREADABLE_BOOK", facts: { url, missing } });
  expect((error as Error).message).toContain(`no ${missing.join(" and no ")}`);
});
