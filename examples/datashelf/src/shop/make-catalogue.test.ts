import { expect, test } from "vitest";
import { parseIsbn } from "../isbn.ts";
import { makeCatalogue } from "./make-catalogue.ts";
import { fewestTroubledPages } from "./make-troubles.ts";
import { makeFacts } from "./shop-facts.ts";

const factsOf = (seed: number) => makeFacts(makeCatalogue({ seed }), "http://shop.test");

test("the same seed makes the same shop, another seed another shop", () => {
  expect(factsOf(7)).toEqual(factsOf(7));
  expect([...factsOf(7).books.values()]).not.toEqual([...factsOf(8).books.values()]);
});

test("every shop has books, categories of one and of several pages, and every trouble", () => {
  for (let seed = 0; seed < 50; seed += 1) {
    const { books, categories, troubles } = makeCatalogue({ seed });
    expect(books).toHaveLength(300);
    expect(categories.length).toBeGreaterThanOrEqual(8);
    expect(Math.max(...categories.map(({ pageCount }) => pageCount))).toBeGreaterThan(1);
    expect(Math.min(...categories.map(({ pageCount }) => pageCount))).toBe(1);
    const kinds = new Set([...troubles.values()].map(({ kind }) => kind));
    expect([...kinds].toSorted()).toEqual(["broken", "busy", "failing", "gone", "slow", "unparsable"]);
    expect(troubles.size).toBeLessThan(books.length / 4);
  }
});

test("no two books share a slug or an ISBN, and every ISBN is valid", () => {
  const { books } = makeCatalogue({ seed: 3, books: 2000 });
  expect(new Set(books.map(({ slug }) => slug)).size).toBe(2000);
  expect(new Set(books.map(({ isbn }) => parseIsbn(isbn))).size).toBe(2000);
  for (const { slug } of books) expect(slug).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*$/);
});

test("every book is in at least one category, and some are in two", () => {
  const { books, categories } = makeCatalogue({ seed: 3 });
  const shelved = categories.flatMap((category) => category.books);
  expect(new Set(shelved).size).toBe(books.length);
  expect(shelved.length).toBeGreaterThan(books.length);
});

test("the smallest shop has room for every trouble, and a smaller one is rejected", () => {
  const { troubles } = makeCatalogue({ seed: 1, books: fewestTroubledPages });
  expect([...troubles.keys()]).not.toContain("");
  for (const books of [fewestTroubledPages - 1, -1, 20.5, NaN, 1e6]) {
    expect(() => makeCatalogue({ seed: 1, books })).toThrow(RangeError);
  }
});
