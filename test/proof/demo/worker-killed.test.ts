import pg from "pg";
import { expect } from "vitest";
import { makeCatalogue } from "../../../examples/datashelf/dist/shop/make-catalogue.js";
import { makeFacts } from "../../../examples/datashelf/dist/shop/shop-facts.js";
import { test } from "../../demo/demo-process.ts";
import { readSummary } from "../../demo/summary.ts";
import { eventually } from "../../support/eventually.ts";

/**
 * From the kill of a worker to the restart of its running jobs, in ms, with the default lease of 10
 * s.
 */
const restartMs = 15_000;

test(
  "no page is lost when a worker is killed in the middle of a crawl, since others restart its jobs",
  { tags: ["FM-15"], timeout: 180_000 },
  async ({ server, startDemo, onTestFinished }) => {
    const [seed, books] = [3, 150];
    const url = await server.createDatabase();
    const demo = await startDemo({
      args: ["--database", url, "--seed", `${seed}`, "--books", `${books}`],
      env: {
        SCRAPER_REQUEST_DELAY: "40", // so that every slot is busy; most wait for the request delay
        SCRAPER_RETRY_ATTEMPTS: "4", // a page that fails twice may lose one more attempt to the kill
      },
    });
    const [, origin = ""] = await demo.says(/^A shop of 150 books opened at (\S+)\/$/m);
    await demo.says(/ books [1-9]/);
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    onTestFinished(() => client.end());
    const rows = async <Row extends pg.QueryResultRow>(query: string, values: unknown[] = []) =>
      (await client.query<Row>(query, values)).rows;

    const [victim = 0] = demo.workerPids;
    const running = `select job.id from hark.running_jobs job join hark.workers w on w.id = job.worker where w.pid = $1`;
    await eventually(async () => (await rows(running, [victim])).length >= 4, {
      withinMs: 30_000,
      what: "four running jobs of one worker",
    });
    const [{ killed_at: killedAt } = { killed_at: "" }] = await rows<{ killed_at: string }>(
      "select clock_timestamp()::text as killed_at",
    );
    process.kill(victim, "SIGKILL");
    const inHand = (await rows<{ id: string }>(running, [victim])).map(({ id }) => id);

    expect(await demo.exited, demo.output + demo.errors).toBe(0);
    expect(demo.output).toContain("worker 1 was killed by SIGKILL; its jobs go to the others when its lease runs out");
    expect(demo.output).toContain("The tables stay in the given database");

    // Every start in the tables: of the last attempt of a job, and of each attempt in the ledger.
    const crashed = await rows<{ id: string; ms_later: number | null }>(
      `select job_id as id, (select min(extract(epoch from started_at - $1::timestamptz)::float8 * 1000)
               from (select id, started_at from hark.finished_jobs union all select id, started_at from hark.dead_jobs
                     union all select job_id, started_at from hark.attempts) as starts
              where starts.id = attempts.job_id and starts.started_at > attempts.finished_at) as ms_later
       from hark.attempts where ending = 'crashed'`,
      [killedAt],
    );
    expect(crashed.length).toBeGreaterThanOrEqual(3); // there were at least four; some may have ended at the moment of the kill
    expect(inHand).toEqual(expect.arrayContaining(crashed.map(({ id }) => id)));
    for (const { id, ms_later: msLater } of crashed) expect(msLater ?? Infinity, `job ${id}`).toBeLessThan(restartMs);

    const facts = makeFacts(makeCatalogue({ seed, books }), origin);
    const unread = new Set([...facts.gone, ...facts.failing, ...facts.unparsable]);
    const stored = await rows<{ url: string; fetch_count: number }>(
      "select url, fetch_count from datashelf.pages order by url",
    );
    expect(stored).toEqual(
      [...facts.pages.keys()]
        .filter((page) => !unread.has(page))
        .toSorted()
        .map((page) => ({ url: page, fetch_count: 1 })),
    );
    const found = await rows<{ url: string }>("select url from datashelf.books");
    expect(found.map((book) => book.url).toSorted()).toEqual([...facts.books.keys()].toSorted());
    expect(readSummary(demo.output)).toMatchObject({
      pages: stored.length,
      books: facts.books.size,
      jobs: facts.pages.size,
    });
    await demo.leavesNothing();
  },
);
