import { sql } from "drizzle-orm";
import { drizzle, type NodePgDatabase } from "drizzle-orm/node-postgres";
import type { Pool } from "pg";
import { type Handler, implement, type JobContext, type UrlPayload, type Producer, UnrecoverableError } from "pg-hark";
import { discoverLinks, type FoundLink } from "./discover-links.ts";
import { UnreadableBookError } from "./errors.ts";
import { category, crawlMetadata, jobByKind, navigation, page, product } from "./jobs.ts";
import { type FetchedPage, fetchPage } from "./pages/fetch-page.ts";
import { parseBook, type ParsedBook } from "./pages/parse-book.ts";
import { parseCategory } from "./pages/parse-category.ts";
import { parseGeneric } from "./pages/parse-generic.ts";
import { parseNavigation } from "./pages/parse-navigation.ts";
import { waitForTurn } from "./politeness.ts";
import { books, pages } from "./schema.ts";

export interface CrawlerParts {
  /** The handlers' own pool. It stores pages and enqueues links in one transaction. */
  pool: Pool;
  producer: Producer;
  /** The time between two requests to one host, in ms, over all processes. */
  requestDelayMs: number;
  /** Attempts of each page, including the first. */
  retryAttempts: number;
}

/** What a page contained: links to follow, and a book if it shows one. */
interface Reading {
  title: string;
  textLength: number | null;
  links: FoundLink[];
  book?: ParsedBook;
}

type Read = (fetched: FetchedPage) => Reading;

/**
 * The handlers of the crawl. Each fetches one page and stores it with the job's completion, in one
 * transaction.
 */
export function crawlHandlers(parts: CrawlerParts): Handler[] {
  const db = drizzle(parts.pool);
  const reader = (read: Read, accepts: Accepts) => (job: JobContext<UrlPayload>) =>
    crawlPage(job, { ...parts, db, read, accepts });
  return [
    implement(navigation, reader(readNavigation, "only success")),
    implement(category, reader(readCategory, "only success")),
    implement(product, reader(readProduct, "only success")),
    implement(page, reader(readAnyPage, "any answer")),
  ];
}

/**
 * A missing page of a shop becomes a dead letter to look at. On any other site, a 404 is a result
 * like any other.
 */
type Accepts = "only success" | "any answer";

async function crawlPage(
  job: JobContext<UrlPayload>,
  {
    db,
    producer,
    requestDelayMs,
    retryAttempts,
    read,
    accepts,
  }: CrawlerParts & { db: NodePgDatabase; read: Read; accepts: Accepts },
): Promise<void> {
  const url = job.payload.target_url;
  const { crawl_id: crawlId } = crawlMetadata.parse(job.payload.metadata);
  const turnWaitMs = await waitForTurn(db, url, { delayMs: requestDelayMs, signal: job.signal });
  const fetched = await fetchPage(url, { signal: job.signal });
  checkStatus(job, fetched, accepts);
  const { title, textLength, links, book } = read(fetched);

  await db.transaction(async (tx) => {
    const { status } = fetched;
    await tx
      .insert(pages)
      .values({
        crawlId,
        url,
        kind: job.type as FoundLink["kind"],
        status,
        title,
        textLength,
        links: links.length,
        turnWaitMs,
        jobId: job.id,
      })
      .onConflictDoUpdate({ target: [pages.crawlId, pages.url], set: { fetchCount: sql`${pages.fetchCount} + 1` } });
    if (book) {
      await tx
        .insert(books)
        .values({ crawlId, ...book })
        .onConflictDoUpdate({ target: [books.crawlId, books.url], set: { ...book, updatedAt: sql`now()` } });
    }
    const fresh = await discoverLinks(tx, { crawlId, foundOn: url, links });
    await producer.in(tx).enqueueMany(
      fresh.map((link) => ({
        job: jobByKind[link.kind],
        payload: { target_url: link.url, metadata: { crawl_id: crawlId } },
        options: { maxAttempts: retryAttempts },
      })),
    );
    await job.completeIn(tx); // the page, its links' jobs and this job's completion: all or nothing
  });
}

/** Ends the attempt if the host's response is not a page: tries again later, or not at all. */
function checkStatus(job: JobContext, { url, status, retryAfterMs }: FetchedPage, accepts: Accepts): void {
  if (status === 429 || status >= 500) {
    const message = `${url} responded with ${status}`;
    if (retryAfterMs !== undefined) job.retryAfter(retryAfterMs, message);
    throw new Error(message);
  }
  if (accepts === "only success" && status !== 200) throw new UnrecoverableError(`${url} responded with ${status}`);
}

function readNavigation({ body, finalUrl }: FetchedPage): Reading {
  const { title, categories } = parseNavigation(body, finalUrl);
  return { title, textLength: null, links: categories.map(({ url }) => ({ url, kind: "category" })) };
}

function readCategory({ body, finalUrl }: FetchedPage): Reading {
  const { name, bookUrls, nextPageUrl } = parseCategory(body, finalUrl);
  const links: FoundLink[] = bookUrls.map((url) => ({ url, kind: "product" }));
  if (nextPageUrl) links.push({ url: nextPageUrl, kind: "category" });
  return { title: name, textLength: null, links };
}

function readProduct({ body, url }: FetchedPage): Reading {
  try {
    const book = parseBook(body, url);
    return { title: book.title, textLength: null, links: [], book };
  } catch (error) {
    // Another fetch would return the same page.
    if (error instanceof UnreadableBookError) throw new UnrecoverableError(error.message, { cause: error });
    throw error;
  }
}

function readAnyPage({ body, finalUrl }: FetchedPage): Reading {
  const { title, textLength, links } = parseGeneric(body, finalUrl);
  return { title, textLength, links: links.map((url) => ({ url, kind: "page" })) };
}
