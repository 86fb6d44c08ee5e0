// @module-tag SEC-23
import { openDatabase, silentLogger } from "@hark/core";
import { startServer } from "@hark/job-manager";
import { expect } from "vitest";
import { call, routes } from "../support/http.ts";
import { test } from "../support/logins.ts";

/* SEC-23: a server may leave payloads out of its answers, and then needs no right to read them. */

const marker = "4111-1111-1111-1111";
const token = "0123456789abcdef0123456789abcdef";
const headers = { authorization: `Bearer ${token}` };

test("a server as hark_reader answers every query without a payload, and every change with 403", async ({
  logIn,
  pool,
}) => {
  await pool.query(
    `insert into hark.dead_jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, run_at, created_at, reason,
       error, started_at, finished_at)
     values (1, 'default', 'product', jsonb_build_object('target_url', 'https://shop.example/' || $1, 'metadata',
       jsonb_build_object('card', $1::text)), 0, 3, 3, 0, now(), now(), 'attempts_exhausted', 'Error: no', now(), now())`,
    [marker],
  );
  const { url: connectionString } = await logIn("hark_reader");
  const database = openDatabase({ connectionString });
  try {
    await using hidden = await startServer({ database, port: 0, token, logger: silentLogger, hidePayloads: true });
    for (const { path, ...request } of routes) {
      const answer = await call(hidden.url + path, { ...request, headers });
      if (request.method === "GET") expect(answer.status, path).toBe(200);
      else expect([answer.status, answer.body.error.code], path).toEqual([403, "DATABASE_FORBIDS"]);
      expect(JSON.stringify(answer.body)).not.toContain(marker);
    }
    const { body } = await call(`${hidden.url}/api/queue/dead-letter`, { headers });
    expect(body.data).toMatchObject([{ id: "1", target_url: null, metadata: {}, last_error: "no" }]);

    // Without the option it reads columns that its role may not read.
    await using shown = await startServer({ database, port: 0, token, logger: silentLogger });
    expect((await call(`${shown.url}/api/queue/dead-letter`, { headers })).status).toBe(403);
  } finally {
    await database.close();
  }
});
