import { silentLogger } from "@hark/core";
import { type Job, type JobManager, startServer } from "pg-hark";
import { expect } from "vitest";
import { eventually } from "../support/eventually.ts";
import { done, test } from "../support/job-manager.ts";

const within = { withinMs: 55_000 };
const shop = "https://shop.example";

/** A small shop: the home page has categories, and each category has books. */
const links: Record<string, { type: string; path: string }[]> = {
  "/": ["/fiction", "/poetry"].map((path) => ({ type: "category", path })),
  "/fiction": [1, 2, 3].map((n) => ({ type: "product", path: `/book/${n}` })),
  "/poetry": [3, 4, 5].map((n) => ({ type: "product", path: `/book/${n}` })),
};

test("two JobManagers and the API crawl a shop: retries, dead letters and the requeue included", async ({
  manage,
  ownUrl,
  sql,
}) => {
  const managers: JobManager[] = [];
  const visits: string[] = [];
  const running = new Set<string>();
  let isMended = false;

  const crawl = async ({ target_url, attempts }: Job) => {
    expect(running, "two jobs of one URL at once").not.toContain(target_url);
    running.add(target_url);
    try {
      const path = target_url.slice(shop.length);
      visits.push(path);
      if (path === "/book/1" && attempts === 1) throw new Error("Network timeout");
      if (path === "/book/5" && !isMended) return { ...done, success: false, errors: ["no price"] };
      const found = (links[path] ?? []).map(({ type, path: to }) => ({
        type,
        target_url: shop + to,
        unique_key: shop + to,
      }));
      await managers[0]!.addJobs(found);
      return { ...done, itemsProcessed: found.length };
    } finally {
      running.delete(target_url);
    }
  };
  managers.push(await manage(crawl, { retryAttempts: 2 }), await manage(crawl, { retryAttempts: 2 }));
  const server = await startServer({
    connectionString: ownUrl,
    jobs: managers[0]!.jobs,
    port: 0,
    logger: silentLogger,
  });
  const call = async (path: string, body?: object) => {
    const post = body && {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    };
    return (await (await fetch(`${server.url}/api/queue${path}`, post || {})).json()) as any;
  };
  try {
    await call("/jobs", { type: "navigation", target_url: `${shop}/` });
    const isDone = async () => {
      const { queued, running: now } = await managers[1]!.getStats();
      return queued + now === 0 && visits.length > 0;
    };
    await eventually(isDone, within);

    expect(new Set(visits)).toEqual(new Set(["/", "/fiction", "/poetry", ...[1, 2, 3, 4, 5].map((n) => `/book/${n}`)]));
    expect(visits.filter((path) => path === "/book/1").length).toBe(2);
    const stats = await call("/stats");
    expect(stats.data).toMatchObject({
      queue: { queued: 0, running: 0, failed: 1 },
      health: { isRunning: true, activeWorkers: 6, databaseConnected: true },
      status: "healthy",
    });
    const dead = await call("/dead-letter");
    expect(dead).toMatchObject({
      data: [{ target_url: `${shop}/book/5`, attempts: 2, last_error: "no price" }],
      count: 1,
    });

    isMended = true;
    await call("/dead-letter/requeue", { index: 0 });
    await eventually(async () => (await isDone()) && (await managers[0]!.getStats()).failed === 0, within);
    const { rows } = await sql.query("select distinct state from hark.finished_jobs");
    expect(rows).toEqual([{ state: "completed" }]);
  } finally {
    await server.close();
  }
});
