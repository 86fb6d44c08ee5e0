import { parseArgs } from "node:util";

export interface DemoOptions {
  /**
   * An empty database to use and fill; undefined starts an embedded PostgreSQL that is removed
   * afterwards.
   */
  database: string | undefined;
  /** The site to crawl; undefined crawls the demo's own book shop. */
  site: string | undefined;
  /** The most pages to fetch; undefined fetches all. */
  limit: number | undefined;
  workers: number;
  /** The seed that the book shop is made from. */
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
  --seed N       makes a different shop for every seed (1)
  --database URL an empty PostgreSQL database to use instead of the embedded one; the crawl's data stays in it

The environment counts too: SCRAPER_CONCURRENT_JOBS, SCRAPER_REQUEST_DELAY, SCRAPER_RETRY_ATTEMPTS, PORT, LOG_LEVEL.`;

/**
 * The demo was given options that it cannot use. The message is one line, and nothing was started.
 */
export class UsageError extends Error {}

/**
 * Reads the command line. Returns undefined if help was asked for. Throws a UsageError that says
 * what is wrong.
 */
export function readDemoOptions(args: string[]): DemoOptions | undefined {
  const values = parse(args);
  if (values.help) return undefined;
  if (values.site !== undefined && !(/^https?:\/\//.test(values.site) && URL.canParse(values.site))) {
    throw new UsageError(
      `--site ${values.site} is not a web address: start it with http:// or https:// and name a host`,
    );
  }
  if (
    values.database !== undefined &&
    !(/^postgres(ql)?:\/\//.test(values.database) && URL.canParse(values.database))
  ) {
    // The message does not repeat the value, which may hold a password.
    throw new UsageError("--database expects the address of a PostgreSQL: postgres://user:password@host:5432/database");
  }
  return {
    database: values.database,
    site: values.site,
    limit: values.limit === undefined ? undefined : integer("limit", values.limit, 1, 1_000_000),
    workers: integer("workers", values.workers, 1, 8),
    books: integer("books", values.books, 1, 5_000),
    seed: integer("seed", values.seed, 0, 2 ** 31),
  };
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args: args.filter((argument) => argument !== "--"), // package managers pass it on
      options: {
        database: { type: "string" },
        site: { type: "string" },
        limit: { type: "string" },
        workers: { type: "string", default: "2" },
        books: { type: "string", default: "300" },
        seed: { type: "string", default: "1" },
        help: { type: "boolean", short: "h", default: false },
      },
    }).values;
  } catch (error) {
    const [whatIsWrong] = (error as Error).message.split(/\.\s/); // the rest is advice for programs with file arguments
    throw new UsageError(whatIsWrong, { cause: error });
  }
}

function integer(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new UsageError(`--${name} ${text} is not a whole number from ${least} to ${most}`);
}
