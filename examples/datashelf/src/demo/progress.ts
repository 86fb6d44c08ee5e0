import { styleText } from "node:util";
import { count, eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import type { Database, Stats } from "pg-hark";
import { getStats } from "pg-hark";
import { books, pages } from "../schema.ts";

/** How often the progress is read, in ms. */
const lookEveryMs = 250;
/** The time between two plain lines, where no terminal shows a live one, in ms. */
const lineEveryMs = 2_000;

/**
 * Shows the progress of a crawl until no job is left to run, or `signal` aborts: one live line in a
 * terminal, plain lines elsewhere.
 */
export async function showProgress(
  db: Database,
  { crawlId, signal, out = process.stdout }: { crawlId: number; signal: AbortSignal; out?: NodeJS.WriteStream },
): Promise<void> {
  const orm = drizzle(db.pool);
  const startedAt = performance.now();
  let lineAt = 0;
  for (;;) {
    const [stats, [stored], [found]] = await Promise.all([
      getStats(db),
      orm.select({ count: count() }).from(pages).where(eq(pages.crawlId, crawlId)),
      orm.select({ count: count() }).from(books).where(eq(books.crawlId, crawlId)),
    ]);
    const isOver = stats.queued + stats.running === 0;
    const seconds = (performance.now() - startedAt) / 1_000;
    const line = progressLine(seconds, stats, { pages: stored!.count, books: found!.count });
    if (out.isTTY) out.write(`\r\x1b[2K${styleText("cyan", fitted(line, out.columns))}${isOver ? "\n" : ""}`);
    else if (isOver || performance.now() - lineAt >= lineEveryMs) {
      out.write(`${line}\n`);
      lineAt = performance.now();
    }
    if (isOver || signal.aborted) return;
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
}

/**
 * Cuts a line to the terminal's width, because a wrapped line cannot be redrawn in place. A
 * terminal of unknown width reports 0.
 */
function fitted(line: string, columns: number): string {
  return columns > 0 ? line.slice(0, columns - 1) : line;
}

function progressLine(seconds: number, stats: Stats, found: { pages: number; books: number }): string {
  const { ready, scheduled, parked, running, dead } = stats.states;
  return (
    `${seconds.toFixed(1).padStart(6)} s  pages ${found.pages}  books ${found.books}  running ${running}  ready ${ready}` +
    `  scheduled ${scheduled}  parked ${parked}  dead letters ${dead}`
  );
}
