import type { ParsedBook } from "../pages/parse-book.ts";
import type { ShopBook } from "./make-books.ts";
import { bookPath, categoryPath, type Catalogue } from "./make-catalogue.ts";
import type { Trouble } from "./make-troubles.ts";

export interface ShopPage {
  url: string;
  kind: "navigation" | "category" | "product";
  trouble: Trouble | null;
}

/** The facts of a shop, which a crawl of it is compared with. All URLs are canonical. */
export interface ShopFacts {
  startUrl: string;
  /** Every page that a crawl finds, also those that never respond with 200, by URL. */
  pages: ReadonlyMap<string, ShopPage>;
  reachable: ReadonlySet<string>;
  /**
   * The books that a crawl has read in the end, by URL: all except the gone, the failing and the
   * unparsable.
   */
  books: ReadonlyMap<string, ParsedBook>;
  /** Always respond with 404. */
  gone: readonly string[];
  /** Always respond with 500. */
  failing: readonly string[];
  /** Respond with 503 and Retry-After this many times, then with 200. */
  busy: ReadonlyMap<string, number>;
  slow: readonly string[];
  /** Broken HTML that can still be read. */
  broken: readonly string[];
  /** Respond with 200 and a page that lacks its title or its price. */
  unparsable: readonly string[];
}

/** Returns the facts of a catalogue that is served at this origin. */
export function makeFacts(catalogue: Catalogue, origin: string): ShopFacts {
  const pageOf = (path: string, kind: ShopPage["kind"]): ShopPage => {
    return { url: origin + path, kind, trouble: catalogue.troubles.get(path) ?? null };
  };
  const list = [
    pageOf("/", "navigation"),
    ...catalogue.categories.flatMap((category) =>
      Array.from({ length: category.pageCount }, (_, at) => {
        return pageOf(categoryPath(category, at + 1), "category");
      }),
    ),
    ...catalogue.books.map((book) => pageOf(bookPath(book), "product")),
  ];
  const urlsWith = (kind: Trouble["kind"]) =>
    list.filter(({ trouble }) => trouble?.kind === kind).map(({ url }) => url);
  const unreadable = new Set([...urlsWith("gone"), ...urlsWith("failing"), ...urlsWith("unparsable")]);
  const books = catalogue.books.map((book) => bookFacts(book, origin)).filter(({ url }) => !unreadable.has(url));

  return {
    startUrl: `${origin}/`,
    pages: new Map(list.map((page) => [page.url, page])),
    reachable: new Set(list.map(({ url }) => url)),
    books: new Map(books.map((book) => [book.url, book])),
    gone: urlsWith("gone"),
    failing: urlsWith("failing"),
    busy: new Map(list.flatMap(({ url, trouble }) => (trouble?.kind === "busy" ? [[url, trouble.refusals]] : []))),
    slow: urlsWith("slow"),
    broken: urlsWith("broken"),
    unparsable: urlsWith("unparsable"),
  };
}

function bookFacts(book: ShopBook, origin: string): ParsedBook {
  return {
    url: origin + bookPath(book),
    isbn: book.isbn,
    title: book.title,
    author: book.author,
    priceMinor: book.priceMinor,
    currency: book.currency,
    rating: book.rating,
    isInStock: book.stock > 0,
    description: book.paragraphs.join("\n\n"),
  };
}
