import { stripVTControlCharacters } from "node:util";
import { describe, expect } from "vitest";
import { makeCatalogue } from "../../examples/datashelf/dist/shop/make-catalogue.js";
import { makeFacts } from "../../examples/datashelf/dist/shop/shop-facts.js";
import { test } from "./demo-process.ts";
import { readSummary } from "./summary.ts";

/**
 * Runs a demo in a terminal of 80 columns. `script` is part of Debian, and of macOS with other
 * arguments.
 */
function inTerminal(command: string[]): string[] {
  const line = `stty cols 80 rows 24; exec ${command.map((word) => `'${word}'`).join(" ")}`;
  return process.platform === "darwin"
    ? ["script", "-q", "/dev/null", "sh", "-c", line]
    : ["script", "-qfec", line, "/dev/null"];
}

describe("without a terminal", () => {
  test(
    "the demo crawls its shop, sums up its pages, and ends by itself",
    { timeout: 120_000 },
    async ({ startDemo }) => {
      const [seed, books] = [7, 60];

      const demo = await startDemo({ args: ["--seed", `${seed}`, "--books", `${books}`] });
      expect(await demo.exited, demo.output + demo.errors).toBe(0);

      const [, origin = ""] = await demo.says(/^A shop of 60 books opened at (\S+)\/$/m);
      const facts = makeFacts(makeCatalogue({ seed, books }), origin);
      const unread = [...facts.gone, ...facts.failing, ...facts.unparsable];
      const retries = [...facts.busy.values()].reduce((sum, refusals) => sum + refusals, 0) + facts.failing.length * 2;
      const { jobsPerSecond, startLatency, slotWait, turnWait, ...summary } = readSummary(demo.output);
      expect(summary).toEqual({
        pages: facts.pages.size - unread.length,
        books: facts.books.size,
        jobs: facts.pages.size,
        attempts: facts.pages.size + retries,
        retries,
        deadLetters: Object.fromEntries([
          ...[...facts.gone, ...facts.unparsable].map((url) => [url, "unrecoverable after 1"]),
          ...facts.failing.map((url) => [url, "attempts_exhausted after 3"]),
        ]),
      });
      expect(jobsPerSecond).toBeGreaterThan(0);
      // Each start is counted once: it found a free slot, or waited for one. The first pages find
      // free slots, and later more links than slots arrive together. Only stored pages have a wait
      // for their turn.
      expect(startLatency.count + slotWait.count).toBe(summary.attempts);
      expect(startLatency.count).toBeGreaterThan(0);
      expect(slotWait.count).toBeGreaterThan(0);
      expect(turnWait.count).toBe(summary.pages);
      for (const { p50, p99 } of [startLatency, slotWait, turnWait]) {
        expect(p50).toBeGreaterThan(0);
        expect(p99).toBeGreaterThanOrEqual(p50);
      }
      expect(demo.output).not.toContain("\x1b");
      expect(demo.errors).toBe("");
      await demo.leavesNothing();
    },
  );

  test("an invalid variable is refused before anything is started", async ({ startDemo }) => {
    const demo = await startDemo({
      env: { SCRAPER_REQUEST_DELAY: "soon", HARK_LISTEN_URL: "ignored by the demo's own database" },
    });

    expect(await demo.exited, demo.errors).toBe(2);
    expect(demo.errors).toMatch(/^The demo was not started: .*SCRAPER_REQUEST_DELAY: must be a whole number.*\n$/);
    expect(demo.output).toBe("");
  });

  test.for([
    [["--bookz", "3"], "Unknown option '--bookz'"],
    [["crawl"], "Unexpected argument 'crawl'"],
    [["--workers", "9"], "--workers 9 is not a whole number from 1 to 8"],
    [["--site", "books.example"], "--site books.example is not a web address"],
    [["--database", "mysql://me:s3cret@db/x"], "--database expects the address of a PostgreSQL"],
  ] as const)("%j is refused in one line, with exit code 2", async ([args, words], { startDemo }) => {
    const demo = await startDemo({ args: [...args] });

    expect(await demo.exited, demo.errors).toBe(2);
    expect(demo.errors).toMatch(/^The demo was not started: .+\n$/);
    expect(demo.errors).toContain(words);
    expect(demo.errors).not.toContain("s3cret");
    expect(demo.output).toBe("");
    await demo.leavesNothing();
  });

  test("a database with tables of Hark is refused and not touched", async ({ startDemo, databaseUrl, pool }) => {
    const demo = await startDemo({ args: ["--database", databaseUrl] });

    expect(await demo.exited, demo.errors).toBe(2);
    expect(demo.errors).toMatch(/^The demo was not started: --database expects an empty database.*"hark".*\n$/);
    const { rows } = await pool.query("select to_regnamespace('datashelf') as schema");
    expect(rows).toEqual([{ schema: null }]);
  });

  test("--help lists every option", async ({ startDemo }) => {
    const demo = await startDemo({ args: ["--help"] });

    expect(await demo.exited, demo.errors).toBe(0);
    for (const option of ["site", "limit", "workers", "books", "seed", "database"])
      expect(demo.output).toContain(`--${option} `);
  });
});

test(
  "in a terminal one live line is redrawn, and the API stays up until Ctrl-C",
  { timeout: 120_000 },
  async ({ startDemo }) => {
    const demo = await startDemo({ args: ["--books", "20"], inside: inTerminal });

    const [, apiUrl = ""] = await demo.says(
      /The API stays up at (\S+\/api\/queue\/stats), .*Ctrl-C ends the demo\./,
      90_000,
    );
    const output = demo.output.replaceAll("\r\n", "\n");
    const [, live = ""] = /^Crawling .*\n([^]*)^Summary/m.exec(output) ?? [];
    const drawn = live.split("\r\x1b[2K").map((line) => stripVTControlCharacters(line).trimEnd());
    expect(drawn.length).toBeGreaterThan(3);
    expect(
      drawn.slice(1).every((line) => /^ *\d+\.\d s {2}pages \d+/.test(line) && line.length < 80),
      drawn.join("\n"),
    ).toBe(true);
    expect(live.trimEnd().split("\n")).toHaveLength(1); // never a second line, since none is wider than the terminal

    const { books } = readSummary(stripVTControlCharacters(output));
    const answer = await fetch(apiUrl);
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({ success: true });
    expect(books).toBeGreaterThan(0);

    demo.type("\x03");
    expect(await demo.exited, demo.output + demo.errors).toBe(0);
    await demo.leavesNothing();
  },
);
