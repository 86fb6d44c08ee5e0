import { afterAll, beforeAll, expect, test } from "vitest";
import { UnreadableBookError } from "../errors.ts";
import { fetchPage, parseBook, parseCategory, parseGeneric, parseNavigation } from "../pages/index.ts";
import { countByStatus, independentCrawl } from "../testing/independent-crawl.ts";
import { startShop, type Shop } from "./index.ts";
import { breakages } from "./make-troubles.ts";

let shop: Shop;
beforeAll(async () => {
  shop = await startShop({ seed: 42, pace: 0 });
});
afterAll(() => shop.close());

/** A shop without any requests yet, closed by `await using`. */
async function freshShop(options: { pace?: number } = {}): Promise<Shop & AsyncDisposable> {
  const fresh = await startShop({ seed: 42, books: 40, ...options });
  return { ...fresh, [Symbol.asyncDispose]: () => fresh.close() };
}

test("an independent crawl finds exactly the pages of the facts, with the statuses of the facts", async () => {
  await using fresh = await startShop({ seed: 5, pace: 0 }).then((it) => ({
    ...it,
    [Symbol.asyncDispose]: () => it.close(),
  }));
  const { facts } = fresh;

  const crawled = await independentCrawl(fresh.url);

  expect([...crawled.keys()].toSorted()).toEqual([...facts.reachable].toSorted());
  expect(countByStatus(crawled)).toEqual({
    200: facts.reachable.size - facts.gone.length - facts.failing.length,
    404: facts.gone.length,
    500: facts.failing.length,
  });
  for (const [url, refusals] of facts.busy)
    expect(crawled.get(url)).toMatchObject({ status: 200, attempts: refusals + 1 });
  for (const url of facts.failing) expect(facts.requests.counts().get(url)).toBe(3);
  expect(facts.requests.maxConcurrentPerUrl).toBe(1);
});

test("the menu, the categories and the next pages lead to every product and to nothing else", async () => {
  const found = new Set([shop.url]);
  const read = async (url: string): Promise<string> => {
    const { status, body } = await fetchPage(url);
    return status === 503 ? read(url) : body;
  };
  const queue = parseNavigation(await read(shop.url), shop.url).categories.map(({ url }) => url);
  for (const url of queue) {
    found.add(url);
    const { bookUrls, nextPageUrl } = parseCategory(await read(url), url);
    for (const book of bookUrls) found.add(book);
    if (nextPageUrl) queue.push(nextPageUrl);
  }
  expect([...found].toSorted()).toEqual([...shop.facts.reachable].toSorted());
});

test("every readable book is read exactly as in the facts, from valid and broken pages alike", async () => {
  const { books, broken, busy } = shop.facts;
  const read = new Map<string, unknown>();
  for (const url of books.keys()) {
    let page = await fetchPage(url);
    for (let refusals = busy.get(url) ?? 0; refusals > 0; refusals -= 1) page = await fetchPage(url);
    read.set(url, parseBook(page.body, page.finalUrl));
    // Every page links to the home page and to a category, also a broken one.
    expect(parseGeneric(page.body, url).links.length).toBeGreaterThan(8);
  }
  expect(read).toEqual(books);
  expect(broken.length).toBeGreaterThanOrEqual(breakages.length);
});

test("pages without a title or a price respond with 200 and cannot be read", async () => {
  const { unparsable } = shop.facts;
  expect(unparsable).toHaveLength(2);
  for (const url of unparsable) {
    const { status, body } = await fetchPage(url);
    expect(status).toBe(200);
    expect(() => parseBook(body, url)).toThrow(UnreadableBookError);
  }
});

test("a busy page responds with 503 and Retry-After as often as the facts say, then always with 200", async () => {
  await using fresh = await freshShop({ pace: 0 });
  const forms = new Set<string>();
  for (const [url, refusals] of fresh.facts.busy) {
    for (let refusal = 1; refusal <= refusals; refusal += 1) {
      const raw = await fetch(url);
      expect(raw.status).toBe(503);
      const wait = raw.headers.get("retry-after") ?? "";
      forms.add(/^\d+$/.test(wait) ? "seconds" : "date");
      expect(/^[12]$/.test(wait) || Date.parse(wait) > Date.now()).toBe(true);
    }
    expect((await fetch(url)).status).toBe(200);
    expect((await fetch(url)).status).toBe(200);
  }
  expect(forms).toEqual(new Set(["seconds", "date"]));
});

test("a slow page is slow, and the log shows when requests came and how many ran at once", async () => {
  await using fresh = await freshShop();
  const [slow = ""] = fresh.facts.slow;
  const trouble = fresh.facts.pages.get(slow)?.trouble;
  const startedAt = performance.now();

  await Promise.all([fetch(slow), fetch(slow)]);

  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(trouble?.kind === "slow" ? trouble.delayMs - 2 : NaN);
  expect(fresh.facts.requests.maxConcurrentPerUrl).toBe(2);
  expect(fresh.facts.requests.entries).toMatchObject([
    { url: slow, status: 200 },
    { url: slow, status: 200 },
  ]);
});

test("closing does not wait for slow pages or for clients that stay connected", async () => {
  const fresh = await startShop({ seed: 42, pace: 100 });
  const pending = fetch(fresh.facts.slow[0] ?? "").catch(() => "cut");
  await fetch(fresh.url);
  await expect.poll(() => fresh.facts.requests.entries.length).toBe(2);

  await fresh.close();

  expect(await pending).toBe("cut");
});

test("tracking parameters change nothing; a page beyond the last, or any other path, does not exist", async () => {
  const [book = ""] = [...shop.facts.books.keys()];
  expect((await fetch(`${book}?utm_source=x&utm_medium=y`)).status).not.toBe(404);
  for (const path of ["category/history?page=99", "books/none", "../etc/passwd", "%zz"]) {
    expect((await fetch(shop.url + path)).status).toBe(404);
  }
  expect((await fetch(shop.url, { method: "POST" })).status).toBe(405);
});
