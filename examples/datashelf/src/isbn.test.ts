import { expect, test } from "vitest";
import { isbnCheckDigit, parseIsbn } from "./isbn.ts";

test("the check digit matches those printed on real books", () => {
  expect(isbnCheckDigit("978030640615")).toBe("7");
  expect(isbnCheckDigit("978316148410")).toBe("0");
});

test("an ISBN is read with hyphens of any kind, and rejected with a wrong digit", () => {
  expect(parseIsbn("978-0-306-40615-7")).toBe("9780306406157");
  expect(parseIsbn(" 978\u20110\u2011306\u201140615 7\n")).toBe("9780306406157");
  expect(parseIsbn("978-0-306-40615-8")).toBeNull();
  expect(parseIsbn("0-306-40615-2")).toBeNull();
  expect(parseIsbn("")).toBeNull();
});
