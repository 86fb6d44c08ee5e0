import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { silentLogger } from "@hark/core";
import { Listener } from "@hark/worker/internal";
import type { Pool } from "pg";
import { expect } from "vitest";
import { test } from "../../setup/fixtures.ts";
import { eventually } from "../../support/eventually.ts";
import { type ProxyMode, startProxy } from "../../support/proxy.ts";
import { startTlsFront } from "../../support/tls-front.ts";

const [batches, perBatch] = [5, 8]; // if all 40 started at once, all would still be connecting
const applicationName = "closed anytime";
const modes: ProxyMode[] = ["ok", "refuse", "cut", "hole", { delayMs: 10 }];

for (const mode of modes) {
  test(
    `a listener closed at any moment leaves nothing behind: ${JSON.stringify(mode)}`,
    { tags: ["FM-14"] },
    async ({ databaseUrl, pool }) => {
      await using proxy = await startProxy(databaseUrl);
      await proxy.set(mode);

      const times: number[] = [];
      for (let batch = 0; batch < batches; batch += 1) {
        await Promise.all(
          Array.from({ length: perBatch }, async () => {
            const listener = new Listener({
              connectionString: proxy.url,
              applicationName,
              logger: silentLogger,
              heartbeatMs: 50,
            });
            listener.start();
            await sleep(Math.random() * 500); // it is connecting, listening, checking itself, or sending heartbeats
            const closedAt = performance.now();
            await Promise.all([listener.close(), listener.close()]);
            expect(listener.state).toBe("closed");
            times.push(performance.now() - closedAt);
          }),
        );
      }

      expect(Math.max(...times)).toBeLessThan(1_000);
      await eventually(() => proxy.open === 0, { withinMs: 2_000, what: "the end of every socket" });
      await eventually(async () => (await sessions(pool)) === 0, { withinMs: 2_000, what: "the end of every session" });
    },
  );
}

test("a listener closed just after its network fell silent leaves only sessions that the server has not noticed", async ({
  databaseUrl,
  pool,
}) => {
  await using proxy = await startProxy(databaseUrl);
  const listener = new Listener({ connectionString: proxy.url, applicationName, logger: silentLogger });
  listener.start();
  await listener.whenListening();
  await eventually(async () => (await sessions(pool)) === 1, {
    withinMs: 2_000,
    what: "the end of the second session",
  });

  await proxy.set("hole");
  const closedAt = performance.now();
  await listener.close();

  expect(performance.now() - closedAt).toBeLessThan(1_000);
  await eventually(() => proxy.open === 0, { withinMs: 500, what: "the end of the socket" });
  expect(await sessions(pool)).toBe(1);
});

test("a listener that never started, and one started after its close, open nothing", async ({ databaseUrl, pool }) => {
  const listener = new Listener({
    connectionString: databaseUrl,
    applicationName: "never started",
    logger: silentLogger,
  });
  const waiting = listener.whenListening();

  await listener.close();
  listener.start();

  await expect(waiting).rejects.toThrow(/closed before it listened/);
  expect(listener.counts.connects).toBe(0);
  const { rows } = await pool.query("select from pg_stat_activity where application_name = 'never started'");
  expect(rows).toHaveLength(0);
});

/**
 * Listens, closes at a random moment under a random state of the network, and must then end by
 * itself. In the first wave half of the listeners are idle at that moment and half send heartbeats.
 * The second wave is closed while it connects.
 */
const program = `
  const { Listener } = await import("@hark/worker/internal");
  const { silentLogger } = await import("@hark/core");
  const { setTimeout: sleep } = await import("node:timers/promises");
  const wave = (size, live) => Promise.all(Array.from({ length: size }, async (_, each) => {
    const listener = new Listener({ connectionString: process.argv[1], logger: silentLogger, heartbeatMs: each % 2 ? 5_000 : 50 });
    listener.start();
    await live(listener);
    await listener.close();
  }));
  await wave(14, async (listener) => {
    await listener.whenListening(AbortSignal.timeout(5_000)).catch(() => {});
    await sleep(500 + Math.random() * 500); // the moment of the close is random
  });
  await wave(10, () => sleep(Math.random() * 300));
  process.stdout.write("closed\\n");
`;

for (const mode of modes) {
  test(`nothing of a closed listener keeps its process alive: ${JSON.stringify(mode)}`, ({ databaseUrl }) =>
    endsByItself(databaseUrl, mode));
}

// The encrypted stream wraps the listener's socket. Destroying the socket must end both.
test("nothing of a closed listener keeps its process alive over TLS", { tags: ["FM-14"] }, async ({ databaseUrl }) => {
  await using front = await startTlsFront(databaseUrl);
  await endsByItself(front.url, "hole");
});

async function endsByItself(url: string, mode: ProxyMode): Promise<void> {
  await using proxy = await startProxy(url);
  const child = spawn(process.execPath, ["--no-warnings", "--input-type=module", "-e", program, proxy.url], {
    cwd: fileURLToPath(new URL("..", import.meta.url)),
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    const exit = once(child, "exit");
    await eventually(() => proxy.accepted >= 28, {
      withinMs: 30_000,
      what: "sessions that listen, and have checked it by a second session",
    });
    await proxy.set(mode);

    const [said] = await once(child.stdout, "data");
    expect(String(said)).toBe("closed\n");
    await eventually(() => child.exitCode !== null, {
      withinMs: 2_500,
      what: "the end of a process that closed its listeners",
    });
    expect(await exit).toEqual([0, null]);
  } finally {
    child.kill("SIGKILL");
  }
}

async function sessions(pool: Pool): Promise<number> {
  const { rows } = await pool.query("select from pg_stat_activity where application_name = $1", [applicationName]);
  return rows.length;
}
