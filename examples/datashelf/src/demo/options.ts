import { parseArgs } from "node:util";

export interface DemoOptions {
  /** The site to crawl; undefined is the demo's own book shop. */
  site: string | undefined;
  /** Most pages to fetch; undefined is all. */
  limit: number | undefined;
  workers: number;
  /** The book shop is made from it. */
  seed: number;
  books: number;
}

export const usage = `Crawls a book shop of its own, or any other site, with two worker processes on an embedded PostgreSQL.

  npx -y pnpm@12 run demo
  npx -y pnpm@12 run demo --site http://127.0.0.1:8080/ --limit 500

  --site URL     crawl the pages of this site instead: title, text length and status of each
  --limit N      fetch at most N pages
  --workers N    worker processes, 1 to 8 (2)
  --books N      books in the shop, 1 to 5000 (300)
  --seed N       another shop for every seed (1)

The environment counts too: SCRAPER_CONCURRENT_JOBS, SCRAPER_REQUEST_DELAY, SCRAPER_RETRY_ATTEMPTS, PORT, LOG_LEVEL.`;

/** Reads the command line; throws an error that says what is wrong with it. Answers undefined if help was asked for. */
export function readDemoOptions(args: string[]): DemoOptions | undefined {
  const { values } = parseArgs({
    args: args.filter((argument) => argument !== "--"), // as package managers pass it on
    options: {
      site: { type: "string" },
      limit: { type: "string" },
      workers: { type: "string", default: "2" },
      books: { type: "string", default: "300" },
      seed: { type: "string", default: "1" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  if (values.site !== undefined && !/^https?:\/\//.test(values.site)) {
    throw new Error(`--site ${values.site} is no address: it starts with http:// or https://`);
  }
  return {
    site: values.site,
    limit: values.limit === undefined ? undefined : integer("limit", values.limit, 1, 1_000_000),
    workers: integer("workers", values.workers, 1, 8),
    books: integer("books", values.books, 1, 5_000),
    seed: integer("seed", values.seed, 0, 2 ** 31),
  };
}

function integer(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new Error(`--${name} ${text} is no whole number from ${least} to ${most}`);
}
