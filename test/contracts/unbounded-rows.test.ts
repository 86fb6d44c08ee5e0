import { getJob, listDeadJobs, silentLogger } from "@hark/core";
import { expect } from "vitest";
import { run } from "../support/command.ts";
import { call } from "../support/http.ts";
import { test } from "../support/servers.ts";

/*
 * Rows that were written by hand, past every check: what can be shown of them is shown, and no list
 * answers with a failure because of one.
 */

const nested = (levels: number) =>
  `${'{"a":'.repeat(levels / 2)}${"[".repeat(levels / 2)}1${"]".repeat(levels / 2)}${"}".repeat(levels / 2)}`;

const bury = `
  insert into hark.dead_jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, run_at, created_at, reason,
                              error, started_at, finished_at)
  values ($1, 'default', 'product', $2, 3, 1, 1, 0, now(), now(), 'failed', 'Error: no stock', now(), now())`;

test(
  "a payload or result of 6,000 levels is shown down to the 64th",
  { tags: ["FM-60"] },
  async ({ start, database, databaseUrl, pool }) => {
    const deep = nested(6_000);
    const url = { target_url: "https://shop.example/deep" };
    await pool.query(bury, [1, `{"target_url":"${url.target_url}","metadata":${deep}}`]);
    await pool.query(bury, [2, deep]);
    await pool.query(bury, [3, JSON.stringify({ ...url, metadata: { fine: true } })]);
    await pool.query(
      `insert into hark.finished_jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, run_at, created_at,
                                     state, result, started_at, finished_at)
     values (4, 'default', 'product', $1, 0, 1, 1, 0, now(), now(), 'completed', $1, now(), now())`,
      [deep],
    );
    await pool.query(
      `insert into hark.jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, run_at, created_at, state)
     values (5, 'default', 'product', $1, 0, 0, 1, 0, now(), now(), 'ready')`,
      [deep],
    );

    const listed = await listDeadJobs(database);
    expect(listed).toHaveLength(3);
    for (const id of [1n, 2n, 4n, 5n]) {
      const text = JSON.stringify((await getJob(database, id))!, (_, value: unknown) =>
        typeof value === "bigint" ? String(value) : value,
      );
      expect(text).toContain("[nested deeper than 64 levels]");
    }

    const { url: server } = await start({ logger: silentLogger });
    const { status, body } = await call(`${server}/api/queue/dead-letter`);
    expect(status).toBe(200);
    expect(body.data).toMatchObject([
      { id: "1", ...url },
      { id: "2", target_url: null },
      { id: "3", metadata: { fine: true } },
    ]);
    expect(JSON.stringify(body.data[0].metadata)).toContain("[nested deeper than 64 levels]");
    expect((await call(`${server}/api/queue/stats`)).status).toBe(200);

    const env = { DATABASE_URL: databaseUrl };
    for (const args of [["dead", "list"], ["dead", "list", "--json"], ["stats"]])
      expect(await run(args, { env }), args.join(" ")).toMatchObject({ code: 0, stderr: "" });

    const requeued = await call(`${server}/api/queue/dead-letter/requeue`, { method: "POST", body: { id: "2" } });
    expect(requeued.status).toBe(200);
    expect((await call(`${server}/api/queue/dead-letter/1`, { method: "DELETE" })).status).toBe(200);
  },
);

test(
  "a list of dead letters has at most 4 MiB of payloads; longer ones keep their short members",
  { tags: ["FM-60"] },
  async ({ start, pool }) => {
    await pool.query("delete from hark.dead_jobs");
    const metadata = { page: "x".repeat(250_000) };
    for (let id = 100; id < 140; id += 1)
      await pool.query(bury, [id, JSON.stringify({ target_url: `https://shop.example/${id}`, metadata })]);
    const { url } = await start();
    const { body } = await call(`${url}/api/queue/dead-letter?limit=200`);
    expect(body.data.map(({ target_url }: { target_url: string }) => target_url)).toEqual(
      Array.from({ length: 40 }, (_, n) => `https://shop.example/${n + 100}`),
    );
    expect(body.data[0].metadata).toEqual(metadata);
    expect(body.data[39].metadata).toEqual({
      note: expect.stringMatching(/^\[2500\d\d bytes: too large for this list\]$/),
    });
    expect(JSON.stringify(body).length).toBeLessThan(4_500_000);
  },
);
