import { setTimeout as sleep } from "node:timers/promises";
import { channels } from "@hark/core/internal";
import { expect, vi } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { test } from "../../support/fixtures.ts";
import { insertJob } from "../../support/jobs.ts";
import { monotonicUs } from "../../support/ledger.ts";
import { listening, timeToListen } from "../../support/listening.ts";
import { percentile, repeats, tell } from "../../support/long.ts";
import { type ProxyMode, startProxy } from "../../support/proxy.ts";

// FM-01: rests are at most 450 ms in the first minute, so a listener hears again after that and a
// connect.
const mostMs = 500;
const listeners = 5;

const outages = repeats({ few: 4, full: 100 });
vi.setConfig({ testTimeout: 240_000 + outages * 10_000 });

for (const outageMs of [1_000, 5_000]) {
  test(
    `after ${outageMs} ms without a server notifications are heard within half a second`,
    { tags: ["AWAKE-4", "FM-01"] },
    async ({ databaseUrl, pool }) => {
      await using proxy = await startProxy(databaseUrl);
      await using all = new AsyncDisposableStack();
      const lived = Array.from({ length: listeners }, () => all.use(listening(proxy.url)));
      for (const { listener } of lived) await listener.whenListening();

      await proxy.set("refuse");
      await eventually(() => lived.every(({ listener }) => listener.state === "connecting"), {
        withinMs: 1_000,
        what: "the loss",
      });
      await sleep(outageMs);
      for (const one of lived) {
        const { listener } = one;
        expect(listener.reason).toMatch(/ECONNREFUSED/);
        expect(listener.attempts).toBeGreaterThan(1);
        expect(listener.attempts).toBeLessThanOrEqual(outageMs / 200 + 10); // 150 in 30 s
        one.forget();
      }
      await proxy.set("ok");
      const healedAt = performance.now();

      // Sent again and again: a notification sent before a listener is back is lost. The listener
      // reports that as undefined.
      const areBack = async () => {
        await pool.query("select pg_notify($1, 'sent')", [channels.jobReady]);
        return lived.every(({ heardAt }) => heardAt.has(undefined) && heardAt.has("sent"));
      };
      const machineMs = timeToListen(proxy.url);
      await eventually(areBack, { withinMs: 10_000, what: "the return of every listener", everyMs: 20 });

      const times = lived.map(({ heardAt }) => Math.round(heardAt.get(undefined)! - healedAt));
      expect(allButOne(times)).toBeLessThanOrEqual(mostMs + 2 * (await machineMs));
    },
  );
}

test(
  `a worker starts the next job within half a second after its listener can connect again, ${outages} times`,
  { tags: ["FM-01", "FM-03"] },
  async ({ databaseUrl, db, queue, ledger, startProcess }) => {
    const durations = [1_000, 1_000, 5_000, 5_000, 30_000]; // the last one only in the long mode
    const [duringMs, afterMs] = [[] as number[], [] as number[]];
    let done = 0;

    async function lane(name: string): Promise<void> {
      await using proxy = await startProxy(databaseUrl);
      const worker = await startProcess({ listenUrl: proxy.url, queue: name, pollMs: 60_000 }); // no poll finds them in time
      while (done < outages) {
        const outageMs = durations[done % durations.length]!;
        const mode: ProxyMode = done % 2 === 0 ? "refuse" : "cut";
        done += 1;
        await proxy.set(mode);
        await eventually(async () => (await worker.health()).listener === "connecting", {
          withinMs: 10_000,
          what: "the loss",
        });
        await sleep(outageMs);
        const during = await insertJob(db, { queue: name, type: "test.task" });
        await proxy.set("ok");
        const healedAt = monotonicUs();
        const after = await insertJob(db, { queue: name, type: "test.task" });

        for (const [id, times] of [[during, duringMs] as const, [after, afterMs] as const]) {
          const [start] = await ledger.until("started", 1, 30_000, id);
          times.push((start!.at - healedAt) / 1_000);
        }
        await eventually(async () => (await worker.health()).isHealthy, { withinMs: 10_000, what: "good health" });
      }
      expect(worker.isAlive).toBe(true);
    }
    await Promise.all(Array.from({ length: Math.min(outages, listeners) }, (_, place) => lane(`${queue}-${place}`)));

    tell(`${outages} outages of a worker's listener; from the heal to the start of a job inserted before it`, duringMs);
    tell("from the heal to the start of a job inserted after it", afterMs);
    expect(percentile([...duringMs, ...afterMs], 0.99)).toBeLessThanOrEqual(
      mostMs + 2 * (await timeToListen(databaseUrl)),
    );
  },
);

test("a reset connection is replaced within half a second", { tags: ["FM-01"] }, async ({ databaseUrl, pool }) => {
  await using proxy = await startProxy(databaseUrl);
  await using one = listening(proxy.url);
  const times: number[] = [];

  for (let round = 0; round < 10; round += 1) {
    await one.listener.whenListening();
    one.forget();
    const cutAt = performance.now();
    await proxy.set("cut");
    await proxy.set("ok");
    await eventually(() => one.heardAt.has(undefined), {
      withinMs: 5_000,
      what: "a word that something may be missed",
    });
    times.push(Math.round(one.heardAt.get(undefined)! - cutAt));
    await eventually(() => one.listener.state === "listening", { withinMs: 5_000, what: "the proof" });
  }
  await pool.query("select pg_notify($1, 'after')", [channels.jobReady]);
  await eventually(() => one.heard.includes("after"), { withinMs: 2_000, what: "the notification" });

  expect(one.listener.counts).toMatchObject({ connects: 11, failures: 10 });
  expect(allButOne(times)).toBeLessThanOrEqual(mostMs + 2 * (await timeToListen(proxy.url)));
});

test("a very slow connection is kept", async ({ databaseUrl, pool }) => {
  await using proxy = await startProxy(databaseUrl);
  await proxy.set({ delayMs: 100 });
  await using slow = listening(proxy.url);

  await slow.listener.whenListening();
  await pool.query("select pg_notify($1, 'late')", [channels.jobReady]);

  await eventually(() => slow.heard.includes("late"), { withinMs: 2_000, what: "the notification" });
  expect(slow.listener.counts.failures).toBe(0);
});

test("a server that refuses or resets from the start is tried until it answers", async ({ databaseUrl }) => {
  await using proxy = await startProxy(databaseUrl);
  await proxy.set("refuse");
  await using early = listening(proxy.url);
  const { listener } = early;

  await eventually(() => listener.attempts >= 2 && /ECONNREFUSED/.test(listener.reason ?? ""), {
    withinMs: 5_000,
    what: "a refusal",
  });
  await proxy.set("cut");
  await eventually(() => /closed|RESET/.test(listener.reason ?? ""), { withinMs: 5_000, what: "a reset" });
  await proxy.set("ok");

  await listener.whenListening(AbortSignal.timeout(5_000));
  expect(listener.attempts).toBe(0);
  expect(listener.reason).toBeUndefined();
});

/** The second longest: a busy machine may delay one run. */
function allButOne(times: number[]): number {
  return times.toSorted((a, b) => a - b).at(-2)!;
}
