import { openTestDatabase, type TestDatabase } from "@hark/test/database";
import { eq } from "drizzle-orm";
import { drizzle, type NodePgDatabase } from "drizzle-orm/node-postgres";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTables } from "./create-tables.ts";
import { discoverLinks, type FoundLink } from "./discover-links.ts";
import { crawls, discovered } from "./schema.ts";

let server: TestDatabase;
let pool: pg.Pool;
let db: NodePgDatabase;
beforeAll(async () => {
  server = await openTestDatabase();
  pool = new pg.Pool({ connectionString: await server.createDatabase(), max: 8 });
  pool.on("error", () => {}); // the server stops before the pool when the file ends
  db = drizzle(pool);
  const client = await pool.connect();
  await createTables(client).finally(() => client.release());
}, 60_000);
afterAll(async () => {
  await pool?.end();
  await server?.stop();
});

async function insertCrawl(pageLimit: number | null = null): Promise<number> {
  const [crawl] = await db
    .insert(crawls)
    .values({ mode: "site", startUrl: "http://site.test/", pageLimit })
    .returning();
  return crawl?.id ?? 0;
}

const link = (name: string | number): FoundLink => ({ url: `http://site.test/${name}`, kind: "page" });
const foundOn = "http://site.test/";

test("a link is new once per crawl, even if one page shows it twice", async () => {
  const crawlId = await insertCrawl();
  expect(await discoverLinks(db, { crawlId, foundOn: null, links: [link("a"), link("b"), link("a")] })).toHaveLength(2);
  expect(await discoverLinks(db, { crawlId, foundOn, links: [link("b"), link("c")] })).toEqual([link("c")]);
  expect(await discoverLinks(db, { crawlId, foundOn, links: [] })).toEqual([]);
  expect(await discoverLinks(db, { crawlId: await insertCrawl(), foundOn, links: [link("a")] })).toEqual([link("a")]);
});

test("transactions that find the same links in different orders do not deadlock, and each link is new to one of them", async () => {
  const crawlId = await insertCrawl();
  const links = Array.from({ length: 3000 }, (_, at) => link(at)); // with fewer, one ends before the next begins
  const answers = await Promise.all(
    Array.from({ length: 8 }, (_, at) =>
      db.transaction(async (tx) => {
        const mine = at % 2 === 0 ? links : links.toReversed();
        return await discoverLinks(tx, { crawlId, foundOn, links: mine });
      }),
    ),
  );
  expect(
    answers
      .flat()
      .map(({ url }) => url)
      .toSorted(),
  ).toEqual(links.map(({ url }) => url).toSorted());
});

test("a link that was found in a failed transaction is new to the next", async () => {
  const crawlId = await insertCrawl();
  await expect(
    db.transaction(async (tx) => {
      await discoverLinks(tx, { crawlId, foundOn, links: [link("a")] });
      throw new Error("the job failed");
    }),
  ).rejects.toThrow("the job failed");
  expect(await discoverLinks(db, { crawlId, foundOn, links: [link("a")] })).toEqual([link("a")]);
});

test("a crawl with a limit takes exactly that many pages, first come first served, however many transactions find them at once", async () => {
  const crawlId = await insertCrawl(50);
  const first = await discoverLinks(db, { crawlId, foundOn: null, links: [link("z"), link("y")] });
  expect(first.map(({ url }) => url).toSorted()).toEqual([link("y").url, link("z").url]);

  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, at) =>
      db.transaction(async (tx) => {
        const links = [link("z"), ...Array.from({ length: 10 }, (__, page) => link(`${at}-${9 - page}`))];
        return await discoverLinks(tx, { crawlId, foundOn, links });
      }),
    ),
  );

  // Four pages have room for all ten of their links, a fifth for its first eight, in its own order;
  // the others for none.
  expect(
    answers
      .map(({ length }) => length)
      .toSorted((a, b) => b - a)
      .slice(0, 6),
  ).toEqual([10, 10, 10, 10, 8, 0]);
  const cut = answers.find(({ length }) => length === 8) ?? [];
  expect(cut.map(({ url }) => url.slice(-2)).toSorted()).toEqual(["-2", "-3", "-4", "-5", "-6", "-7", "-8", "-9"]);
  expect(await db.$count(discovered, eq(discovered.crawlId, crawlId))).toBe(50);
  expect(await discoverLinks(db, { crawlId, foundOn, links: [link("late")] })).toEqual([]);
});

test("a missing crawl is an error", async () => {
  const links = [link("a")];
  await expect(discoverLinks(db, { crawlId: 999_999, foundOn, links })).rejects.toMatchObject({
    code: "UNKNOWN_CRAWL",
  });
});
