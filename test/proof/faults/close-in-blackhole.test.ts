import type { Socket } from "node:net";
import { openDatabase } from "@hark/core";
import { expect } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { test } from "../../support/fixtures.ts";
import { startProxy } from "../../support/proxy.ts";

test(
  "idle connections that fell silent are destroyed with their pool, so that their process can end",
  { tags: ["FM-07"] },
  async ({ databaseUrl }) => {
    await using proxy = await startProxy(databaseUrl);
    const db = openDatabase({ connectionString: proxy.url, maxConnections: 2 });
    const sockets: Socket[] = [];
    db.pool.on("connect", (client) =>
      sockets.push((client as unknown as { connection: { stream: Socket } }).connection.stream),
    );
    await Promise.all([db.pool.query("select pg_sleep(0.1)"), db.pool.query("select pg_sleep(0.1)")]);
    expect(sockets).toHaveLength(2);

    await proxy.set("hole");
    await db.close();

    // The server does not answer their close, and TCP alone would wait about 15 minutes for it.
    await eventually(() => sockets.every(({ destroyed }) => destroyed), { withinMs: 5_000, what: "their end" });
  },
);
