import { makeBooks, slugOf, type ShopBook } from "./make-books.ts";
import { fewestTroubledPages, makeBusy, makeTroubles, type Trouble } from "./make-troubles.ts";
import { createRandom } from "./random.ts";
import { categories } from "./words.ts";

/** Books on one page of a category. */
export const pageSize = 20;

export interface ShopCategory {
  slug: string;
  name: string;
  books: ShopBook[];
  pageCount: number;
}

/**
 * Everything that the shop sells, and everything that is wrong with it. It is made from the seed
 * alone, before any port is known.
 */
export interface Catalogue {
  seed: number;
  books: ShopBook[];
  categories: ShopCategory[];
  /** By path and query, such as `/books/the-silent-harbour` or `/category/history?page=2`. */
  troubles: Map<string, Trouble>;
}

export function bookPath(book: ShopBook): string {
  return `/books/${book.slug}`;
}

/** The first page of a category has only one address, without a number. */
export function categoryPath(category: ShopCategory, page: number): string {
  return page === 1 ? `/category/${category.slug}` : `/category/${category.slug}?page=${page}`;
}

/**
 * Makes the shop of a seed. The result is the same for the same seed and number of books, on every
 * machine. Throws a RangeError for too few books to show every trouble, and for more than a
 * catalogue can number.
 */
export function makeCatalogue({ seed, books: count = 300 }: { seed: number; books?: number }): Catalogue {
  if (!Number.isInteger(count) || count < fewestTroubledPages || count > 50_000) {
    throw new RangeError(
      `A shop has ${fewestTroubledPages} to 50,000 books, so that every trouble has a page; ${count} were asked for.`,
    );
  }
  const random = createRandom(seed);
  const books = makeBooks(random, count);

  // The lower of two dice, so that the first categories need several pages and the last one. About
  // a sixth of the books is in two.
  const shelves = categories.map(() => new Set<ShopBook>());
  const last = shelves.length - 1;
  const shelve = (book: ShopBook) => shelves[Math.min(random.integer(0, last), random.integer(0, last))]?.add(book);
  for (const book of books) {
    shelve(book);
    if (random.chance(0.17)) shelve(book);
  }
  const shopCategories = categories.map((name, at): ShopCategory => {
    const shelved = [...(shelves[at] ?? [])];
    return { slug: slugOf(name), name, books: shelved, pageCount: Math.max(1, Math.ceil(shelved.length / pageSize)) };
  });

  const troubles = makeTroubles(random, books.map(bookPath));
  const [busy, slow] = random.shuffle(shopCategories);
  if (busy) troubles.set(categoryPath(busy, busy.pageCount), makeBusy(random, 0));
  if (slow) troubles.set(categoryPath(slow, slow.pageCount), { kind: "slow", delayMs: random.integer(300, 1500) });

  return { seed, books, categories: shopCategories, troubles };
}
