import { expect, test } from "vitest";
import { canonicalUrl, isSameOrigin, maxUrlBytes } from "./canonical-url.ts";

const base = "http://shop.test/category/history?page=2";

test.each([
  ["a relative link", "../books/x", "http://shop.test/books/x"],
  ["a query alone keeps the path", "?page=3", "http://shop.test/category/history?page=3"],
  ["an empty link is the page itself", "", base],
  ["a fragment", "/books/x#reviews", "http://shop.test/books/x"],
  ["a fragment alone", "#top", base],
  ["tracking alone", "/x?utm_source=a&utm_medium=b", "http://shop.test/x"],
  ["tracking among others", "/x?b=2&utm_source=a&a=1&UTM_Term=c", "http://shop.test/x?b=2&a=1"],
  ["escaped tracking", "/x?utm%5Fsource=a", "http://shop.test/x"],
  [
    "other parameters are neither sorted nor respelled",
    "/x?z=%20&a=+&b=%C3%A9",
    "http://shop.test/x?z=%20&a=+&b=%C3%A9",
  ],
  ["a parameter that only looks like tracking", "/x?utmost=1&my_utm_=2", "http://shop.test/x?utmost=1&my_utm_=2"],
  ["an empty query", "/x?", "http://shop.test/x"],
  ["upper-case scheme and host, not path", "HTTP://SHOP.test/Books", "http://shop.test/Books"],
  ["the default port", "http://shop.test:80/x", "http://shop.test/x"],
  ["the default port of https", "https://shop.test:443/x", "https://shop.test/x"],
  ["another port", "http://shop.test:8080/x", "http://shop.test:8080/x"],
  ["dots in the path", "/a/./b/../c", "http://shop.test/a/c"],
  ["a host in another script", "http://bücher.test/", "http://xn--bcher-kva.test/"],
  ["credentials", "http://me:secret@shop.test/x", "http://shop.test/x"],
  ["white space around and inside", "\n /bo\toks/x ", "http://shop.test/books/x"],
  ["without a scheme", "//other.test/x", "http://other.test/x"],
])("%s", (_, href, expected) => {
  expect(canonicalUrl(href, base)).toBe(expected);
});

test.each([
  "mailto:a@b.test",
  "tel:+44",
  "javascript:void(0)",
  "data:,x",
  "ftp://shop.test/x",
  "http://",
  "http://[::1",
  "http://a b/",
])("%s does not lead to a page", (href) => {
  expect(canonicalUrl(href, base)).toBeNull();
});

test("a canonical URL stays as it is", () => {
  const once = canonicalUrl("../Ä b?x=1&utm_a=2#c", base) ?? "";
  expect(canonicalUrl(once)).toBe(once);
});

test("a URL that is too long for an index is not followed", () => {
  const start = "http://shop.test/";
  expect(canonicalUrl(start + "x".repeat(maxUrlBytes - start.length))).not.toBeNull();
  expect(canonicalUrl(start + "x".repeat(maxUrlBytes - start.length + 1))).toBeNull();
  expect(canonicalUrl(`/${"é".repeat(400)}`, base)).toBeNull(); // escaped, every é is six bytes
});

test("one site has one scheme, host and port", () => {
  expect(isSameOrigin("http://a.test/x", "http://a.test/y")).toBe(true);
  for (const other of ["https://a.test/", "http://b.test/", "http://a.test:81/", "http://sub.a.test/"]) {
    expect(isSameOrigin("http://a.test/", other)).toBe(false);
  }
});
