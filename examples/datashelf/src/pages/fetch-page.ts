import { fetch, type Response } from "undici";
import { FetchError } from "../errors.ts";
import { canonicalUrl, isSameOrigin } from "./canonical-url.ts";
import { decodeHtml, isHtml } from "./decode-html.ts";
import { parseHttpDate, parseRetryAfter } from "./retry-after.ts";

export interface FetchedPage {
  /** The requested URL. */
  url: string;
  /** The URL after all redirects. Relative links on the page are relative to it. */
  finalUrl: string;
  status: number;
  contentType: string | null;
  /** How long the site asks to wait, in ms. */
  retryAfterMs?: number;
  /** The text of an HTML page. Empty for everything else, which is not downloaded. */
  body: string;
  /** Whether the page was longer than the limit. `body` is then its beginning. */
  isCut: boolean;
}

export interface FetchOptions {
  signal?: AbortSignal;
  /** The time limit of the whole fetch, redirects and body included. */
  timeoutMs?: number;
  maxBytes?: number;
  maxRedirects?: number;
  userAgent?: string;
}

const defaults = {
  /**
   * People do not wait longer for a page either. It is also well below the usual lease of a job's
   * lock.
   */
  timeoutMs: 20_000,
  /** Ten times the longest page of the PostgreSQL manual. */
  maxBytes: 5_000_000,
  maxRedirects: 5,
  userAgent: "DataShelf/1.0 (a crawler of book shops)",
};

/**
 * Fetches one page and returns its host's response: 404 and 503 are responses, not errors. Follows
 * redirects within the origin. Returns a redirect that leaves the origin as it is, since its target
 * belongs to another site. Throws a FetchError if no complete response comes, and the signal's
 * reason when the caller aborts.
 */
export async function fetchPage(url: string, options: FetchOptions = {}): Promise<FetchedPage> {
  const { timeoutMs, maxBytes, maxRedirects, userAgent } = { ...defaults, ...options };
  const deadline = AbortSignal.timeout(timeoutMs);
  const signal = AbortSignal.any(options.signal ? [deadline, options.signal] : [deadline]);
  const headers = { "user-agent": userAgent, accept: "text/html, application/xhtml+xml, */*;q=0.1" };

  let finalUrl = url;
  try {
    for (let redirects = 0; redirects <= maxRedirects; redirects += 1) {
      const response = await fetch(finalUrl, { signal, headers, redirect: "manual" });
      const target = redirectTarget(response, finalUrl);
      if (!target) return { url, finalUrl, ...(await readAnswer(response, maxBytes)) };

      await response.body?.cancel();
      finalUrl = target;
    }
  } catch (error) {
    options.signal?.throwIfAborted();
    if (deadline.aborted) {
      throw new FetchError(
        "FETCH_TIMEOUT",
        { url, timeoutMs },
        `The page ${url} did not come within ${timeoutMs} ms.`,
        { cause: error },
      );
    }
    throw new FetchError("FETCH_FAILED", { url }, `The page ${url} could not be fetched: ${reasonOf(error)}.`, {
      cause: error,
    });
  }
  throw new FetchError(
    "REDIRECT_LIMIT",
    { url, finalUrl, maxRedirects },
    `The page ${url} redirects more than ${maxRedirects} times, the last time to ${finalUrl}: it leads in a circle, or needs cookies.`,
  );
}

/**
 * Returns where to continue within the origin, or undefined if this response is the one to read.
 */
function redirectTarget(response: Response, from: string): string | undefined {
  if (![301, 302, 303, 307, 308].includes(response.status)) return undefined;
  const target = canonicalUrl(response.headers.get("location") ?? "", from);
  return target && response.headers.has("location") && isSameOrigin(target, from) ? target : undefined;
}

async function readAnswer(response: Response, maxBytes: number): Promise<Omit<FetchedPage, "url" | "finalUrl">> {
  const contentType = response.headers.get("content-type");
  const retryAfterMs = parseRetryAfter(response.headers.get("retry-after"), { nowMs: siteNowMs(response) });
  const { bytes, isCut } = isHtml(contentType) ? await readUpTo(response, maxBytes) : await skipBody(response);
  return {
    status: response.status,
    contentType,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    body: decodeHtml(bytes, contentType),
    isCut,
  };
}

/** The site's own clock, if the response shows it: a date in Retry-After is meant by that clock. */
function siteNowMs(response: Response): number {
  return parseHttpDate(response.headers.get("date") ?? "") ?? Date.now();
}

/** Counts bytes after decompression, so that a small response cannot unpack into a large one. */
async function readUpTo(response: Response, maxBytes: number): Promise<{ bytes: Buffer; isCut: boolean }> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk);
    size += chunk.byteLength;
    if (size > maxBytes) break; // leaving the loop cancels the stream, and with it the download
  }
  return { bytes: Buffer.concat(chunks).subarray(0, maxBytes), isCut: size > maxBytes };
}

async function skipBody(response: Response): Promise<{ bytes: Buffer; isCut: boolean }> {
  await response.body?.cancel();
  return { bytes: Buffer.alloc(0), isCut: false };
}

/** undici only says "fetch failed": what happened is in the cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error && error.cause.message ? error.cause.message : error.message;
}
