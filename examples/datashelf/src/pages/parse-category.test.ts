import { expect, test } from "vitest";
import { parseCategory } from "./parse-category.ts";

const pageUrl = "http://shop.test/category/history?page=2";
const card = (href: string) => `<li class="card"><h2><a href="${href}">x</a></h2>`;

test("each book is read once, however it is linked, together with the link to the next page", () => {
  const html = `<h1>History</h1>${card("../books/a")}${card("/books/a?utm_source=x#y")}${card("HTTP://shop.test/books/b")}
    ${card("https://elsewhere.test/books/c")}${card("tel:1")}<a rel="prev" href="?page=1">p</a><a rel="nofollow next" href="?page=3">n</a>`;
  expect(parseCategory(html, pageUrl)).toEqual({
    name: "History",
    bookUrls: ["http://shop.test/books/a", "http://shop.test/books/b"],
    nextPageUrl: "http://shop.test/category/history?page=3",
  });
});

test("the last page has no next page, and a link off the site does not count as one", () => {
  expect(parseCategory("<h1>Empty</h1>", pageUrl)).toEqual({ name: "Empty", bookUrls: [], nextPageUrl: null });
  expect(parseCategory(`<a rel=next href="https://elsewhere.test/">n</a>`, pageUrl).nextPageUrl).toBeNull();
});
