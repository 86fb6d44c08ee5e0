import { type Job, type JobResult, RetryAfterError, UnrecoverableError } from "pg-hark";
import { UnreadableBookError } from "./errors.ts";
import { type FetchedPage, fetchPage } from "./pages/fetch-page.ts";
import { parseBook } from "./pages/parse-book.ts";
import { parseCategory } from "./pages/parse-category.ts";
import { parseNavigation } from "./pages/parse-navigation.ts";

/**
 * Fetches the page of a job, and counts what its type looks for: categories, books, or the one book
 * of a product page.
 */
export async function processPage({ type, target_url, signal }: Job): Promise<JobResult> {
  const startedAt = performance.now();
  const page = await fetchPage(target_url, { signal });
  checkStatus(page);
  return { success: true, itemsProcessed: count(type, page), errors: [], duration: performance.now() - startedAt };
}

function count(type: string, { url, body, finalUrl }: FetchedPage): number {
  if (type === "navigation") return parseNavigation(body, finalUrl).categories.length;
  if (type === "category") return parseCategory(body, finalUrl).bookUrls.length;
  try {
    parseBook(body, url);
    return 1;
  } catch (error) {
    // Another fetch would return the same page.
    if (error instanceof UnreadableBookError) throw new UnrecoverableError(error.message, { cause: error });
    throw error;
  }
}

function checkStatus({ url, status, retryAfterMs }: FetchedPage): void {
  if (status === 200) return;
  const message = `${url} responded with ${status}`;
  if (retryAfterMs !== undefined) throw new RetryAfterError(retryAfterMs, message);
  throw status === 429 || status >= 500 ? new Error(message) : new UnrecoverableError(message);
}
