import { expect, test } from "vitest";
import { parseNavigation } from "./parse-navigation.ts";

test("the menu's categories are read once each, in order; other links are ignored", () => {
  const html = `<title>Home</title><nav class="categories"><a href="/c/a#x">A &amp; co</a><a href="c/b?utm_x=1">B<a href="/c/a">again</a>
    <a href="https://elsewhere.test/c">C</a><a href="mailto:x@y.test">D</a><a>E</a></nav><a href="/c/z">Z</a>`;
  expect(parseNavigation(html, "http://shop.test/")).toEqual({
    title: "Home",
    categories: [
      { name: "A & co", url: "http://shop.test/c/a" },
      { name: "B", url: "http://shop.test/c/b" },
    ],
  });
});

test("a page without a menu has no categories", () => {
  expect(parseNavigation("", "http://shop.test/")).toEqual({ title: "", categories: [] });
});
