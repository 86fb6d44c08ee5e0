import { eq, sql } from "drizzle-orm";
import type { NodePgDatabase } from "drizzle-orm/node-postgres";
import { DataShelfError } from "./errors.ts";
import { crawls, discovered } from "./schema.ts";

export interface FoundLink {
  url: string;
  kind: (typeof discovered.$inferSelect)["kind"];
}

/** A Drizzle database or, to enqueue the new links as well, the transaction that does both. */
type Connection = Pick<NodePgDatabase, "execute" | "select">;

/**
 * Records the links that a page shows. Returns those that no page of this crawl has shown before:
 * they must be enqueued in the same transaction, or a URL could be recorded and never fetched. If
 * two transactions find one new URL, the second waits for the first to end, and gets the URL only
 * if the first rolls back. A crawl with a page limit takes no more links than that, in the order of
 * the page. Throws if the crawl does not exist.
 */
export async function discoverLinks(
  tx: Connection,
  {
    crawlId,
    foundOn,
    links,
  }: {
    crawlId: number;
    /** The page that shows the links; null for the first page of the crawl. */
    foundOn: string | null;
    links: readonly FoundLink[];
  },
): Promise<FoundLink[]> {
  if (links.length === 0) return [];
  const room = await lockRoom(tx, crawlId);
  if (room === 0) return [];

  // Without a limit many transactions insert at once. All insert in the order of the URL, so that
  // they do not deadlock.
  const rows = sql.param(JSON.stringify(links));
  const { rows: added } = await tx.execute<{ url: string }>(sql`
    insert into ${discovered} (crawl_id, url, kind, found_on)
    select ${crawlId}, url, kind, ${foundOn}
      from (select distinct on (url) url, kind, place
              from rows from (jsonb_to_recordset(${rows}::jsonb) as (url text, kind text)) with ordinality as link (url, kind, place)
             where not exists (select from ${discovered} d where d.crawl_id = ${crawlId} and d.url = link.url)
             order by url, place) as fresh
     order by ${room === null ? sql`url collate "C"` : sql`place limit ${room}`}
        on conflict do nothing returning url`);
  const fresh = new Map(links.toReversed().map((link) => [link.url, link]));
  return added.flatMap(({ url }) => fresh.get(url) ?? []);
}

/**
 * Returns how many pages the crawl may still take, or null for any number. With a limit, only one
 * transaction at a time finds links.
 */
async function lockRoom(tx: Connection, crawlId: number): Promise<number | null> {
  const [crawl] = await tx.select({ limit: crawls.pageLimit }).from(crawls).where(eq(crawls.id, crawlId));
  if (!crawl) {
    const message = `There is no crawl ${crawlId}: it was deleted while its jobs were waiting. Cancel them.`;
    throw new DataShelfError("UNKNOWN_CRAWL", { crawlId }, message);
  }
  if (crawl.limit === null) return null;

  await tx.execute(sql`select from ${crawls} where id = ${crawlId} for no key update`);
  const { rows } = await tx.execute<{ taken: number }>(
    sql`select count(*)::integer as taken from ${discovered} where crawl_id = ${crawlId}`,
  );
  return Math.max(0, crawl.limit - (rows[0]?.taken ?? 0));
}
