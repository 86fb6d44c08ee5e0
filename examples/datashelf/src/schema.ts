import { bigint, boolean, index, integer, pgSchema, primaryKey, real, text, timestamp } from "drizzle-orm/pg-core";

/**
 * DataShelf's own tables. They are in the same database as Hark's schema, so that both commit
 * together.
 */
export const datashelf = pgSchema("datashelf");

const moment = (name: string) => timestamp(name, { withTimezone: true });

export const crawls = datashelf.table("crawls", {
  id: bigint("id", { mode: "number" }).primaryKey().generatedAlwaysAsIdentity(),
  startedAt: moment("started_at").notNull().defaultNow(),
  /** `shop` reads books, `site` reads any pages. */
  mode: text("mode", { enum: ["shop", "site"] }).notNull(),
  startUrl: text("start_url").notNull(),
  /** The most pages to enqueue; null enqueues all of them. */
  pageLimit: integer("page_limit"),
});

const crawlId = () =>
  bigint("crawl_id", { mode: "number" })
    .notNull()
    .references(() => crawls.id, { onDelete: "cascade" });
const kinds = ["navigation", "category", "product", "page"] as const;

/**
 * Every URL that a crawl has enqueued. The primary key ensures that a URL is enqueued once per
 * crawl: of all jobs that find a link, the one whose insert does not conflict enqueues it, in the
 * same transaction.
 */
export const discovered = datashelf.table(
  "discovered",
  {
    crawlId: crawlId(),
    url: text("url").notNull(),
    kind: text("kind", { enum: kinds }).notNull(),
    /** The page that linked to it first; null for the first page of the crawl. */
    foundOn: text("found_on"),
    foundAt: moment("found_at").notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.crawlId, table.url] })],
);

/**
 * Every page that was fetched and stored. Storing a page a second time would raise `fetch_count`
 * above 1.
 */
export const pages = datashelf.table(
  "pages",
  {
    crawlId: crawlId(),
    url: text("url").notNull(),
    kind: text("kind", { enum: kinds }).notNull(),
    status: integer("status").notNull(),
    title: text("title"),
    /** The number of visible characters. */
    textLength: integer("text_length"),
    /** Links within the site, each counted once. */
    links: integer("links").notNull().default(0),
    /** How long its request waited for its turn at the host, in ms. */
    turnWaitMs: real("turn_wait_ms").notNull().default(0),
    fetchedAt: moment("fetched_at").notNull().defaultNow(),
    fetchCount: integer("fetch_count").notNull().default(1),
    /** The Hark job that stored it. */
    jobId: bigint("job_id", { mode: "bigint" }).notNull(),
  },
  (table) => [primaryKey({ columns: [table.crawlId, table.url] })],
);

/** The books of a crawl, by URL: a page may lack an ISBN, but it always has a URL. */
export const books = datashelf.table(
  "books",
  {
    crawlId: crawlId(),
    url: text("url").notNull(),
    isbn: text("isbn"),
    title: text("title").notNull(),
    author: text("author"),
    /** In pence or cents. */
    priceMinor: bigint("price_minor", { mode: "number" }).notNull(),
    currency: text("currency").notNull(),
    rating: real("rating"),
    isInStock: boolean("is_in_stock").notNull(),
    description: text("description").notNull(),
    updatedAt: moment("updated_at").notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.crawlId, table.url] }), index("books_isbn").on(table.isbn)],
);

/** When each host may be asked again. The request delay holds over all workers of all processes. */
export const hosts = datashelf.table("hosts", {
  host: text("host").primaryKey(),
  nextAt: moment("next_at").notNull(),
});
