import {
  createLocks,
  type Queryable,
  InvalidOptionsError,
  LockLostError,
  LockTimeoutError,
  silentLogger,
} from "@hark/core";
import { Listener } from "@hark/worker/internal";
import { expect } from "vitest";
import { eventually } from "../support/eventually.ts";
import { test as base } from "../support/fixtures.ts";
import { expireLock } from "../support/pass-time.ts";

const test = base.extend("listener", { scope: "file" }, async ({ databaseUrl }, { onCleanup }) => {
  const listener = new Listener({ connectionString: databaseUrl, logger: silentLogger });
  onCleanup(() => listener.close());
  listener.start();
  await listener.whenListening();
  return listener;
});

test(
  "only one owner holds a lock, and only its token renews and releases it",
  { tags: ["FM-56"] },
  async ({ db, queue: key }) => {
    const locks = createLocks({ db, owner: "me" });
    const lock = await locks.acquire(key, { ttlMs: 60_000 });

    await expect(locks.acquire(key, { ttlMs: 60_000 })).rejects.toThrow(LockTimeoutError);
    expect(await locks.release(key, crypto.randomUUID())).toBe(false);
    await lock.renew();
    expect((await db.pool.query("select owner, token from hark.locks where key = $1", [key])).rows).toEqual([
      { owner: "me", token: lock.token },
    ]);

    expect(await lock.release()).toBe(true);
    expect(await lock.release()).toBe(false);
    expect(lock.signal.aborted).toBe(false); // released, not lost
    await (await locks.acquire(key, { ttlMs: 60_000 })).release();
  },
);

test(
  "a waiting caller is woken by the release, long before any interval",
  { tags: ["AWAKE-1", "FM-56"] },
  async ({ db, queue: key, listener }) => {
    let answers = 0;
    const counted: Queryable = {
      async query(statement) {
        const answer = await db.query(statement);
        answers += 1;
        return answer;
      },
    };
    const locks = createLocks({ db, notifications: listener });
    const waiters = createLocks({ db: counted, notifications: listener });
    const lock = await locks.acquire(key, { ttlMs: 600_000 });
    const times: number[] = [];

    for (let turn = 0, held = lock; turn < 5; turn += 1) {
      const before = answers;
      const waiting = waiters.acquire(key, { ttlMs: 600_000, waitMs: 60_000 });
      await eventually(() => answers > before, { withinMs: 30_000, what: "its no, after which it sleeps" });
      const releasedAt = performance.now();
      await held.release();
      held = await waiting;
      times.push(performance.now() - releasedAt);
      if (turn === 4) await held.release();
    }

    expect(Math.min(...times)).toBeLessThan(700); // its own poll comes only after a second
  },
);

test("an abandoned lock is taken over after it expires, with a higher fence, and its former holder is refused", async ({
  db,
  queue: key,
}) => {
  const locks = createLocks({ db });
  const former = await locks.acquire(key, { ttlMs: 600 });
  const next = await locks.acquire(key, { ttlMs: 60_000, waitMs: 30_000 });

  expect(next.fence).toBeGreaterThan(former.fence);
  expect(former.signal.aborted).toBe(true);
  expect(former.signal.reason).toBeInstanceOf(LockLostError);
  await expect(former.renew()).rejects.toThrow(LockLostError);
  await expect(db.transaction((tx) => former.guard(tx))).rejects.toThrow(LockLostError);
  expect(await former.release()).toBe(false);
  expect(await next.release()).toBe(true);
});

test(
  "a holder is told to stop before its lock expires, and a renewal postpones that",
  { tags: ["FM-55"] },
  async ({ db, queue: key }) => {
    const locks = createLocks({ db });
    const lock = await locks.acquire(key, { ttlMs: 2_000 });
    const rows = async () =>
      (await db.pool.query("select from hark.locks where key = $1 and expires_at > clock_timestamp()", [key])).rowCount;

    await lock.renew(60_000);
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    expect(lock.signal.aborted).toBe(false);
    await lock.renew(1_000);
    const isStillHeld = await new Promise((resolve) => lock.signal.addEventListener("abort", () => resolve(rows())));

    expect(isStillHeld).toBe(1);
    await lock.release();
  },
);

test(
  "a guarded transaction delays a takeover until it has committed",
  { tags: ["FM-55"] },
  async ({ db, queue: key }) => {
    const locks = createLocks({ db });
    await db.pool.query("create table if not exists written (by text, at timestamptz default clock_timestamp())");
    const lock = await locks.acquire(key, { ttlMs: 1_000 });

    const tx = await db.pool.connect();
    await tx.query("begin");
    await lock.guard(tx);
    const taking = locks.acquire(key, { ttlMs: 60_000, waitMs: 60_000 });
    const isExpired = async () =>
      (await db.pool.query("select from hark.locks where key = $1 and expires_at <= clock_timestamp()", [key]))
        .rowCount === 1;
    await eventually(isExpired, { withinMs: 30_000, what: "the end of the lock's time" });
    await expect(locks.acquire(key, { ttlMs: 60_000 })).rejects.toThrow(LockTimeoutError);
    await tx.query("insert into written (by) values ('former')");
    await tx.query("commit");
    tx.release();
    const next = await taking;
    await db.pool.query("insert into written (by) values ('next')");

    expect((await db.pool.query("select by from written order by at")).rows).toEqual([
      { by: "former" },
      { by: "next" },
    ]);
    await next.release();
  },
);

test("a wait ends with its timeout or its signal, and invalid requests are rejected without a query", async ({
  db,
  queue: key,
}) => {
  const locks = createLocks({ db });
  const lock = await locks.acquire(key, { ttlMs: 60_000 });
  const controller = new AbortController();

  const aborted = locks.acquire(key, { ttlMs: 60_000, waitMs: 60_000, signal: controller.signal });
  controller.abort(new Error("no longer wanted"));
  await expect(aborted).rejects.toThrow("no longer wanted");
  await expect(locks.acquire(key, { ttlMs: 60_000, waitMs: 150 })).rejects.toThrow(/not free within 150 ms/);
  for (const [wrong, options] of [
    ["", { ttlMs: 1_000 }],
    ["a\0b", { ttlMs: 1_000 }],
    ["ü".repeat(513), { ttlMs: 1_000 }],
    [key, { ttlMs: 99 }],
    [key, { ttlMs: Number.NaN }],
    [key, { ttlMs: 1_000, waitMs: -1 }],
  ] as const) {
    await expect(locks.acquire(wrong, options)).rejects.toThrow(InvalidOptionsError);
  }
  await lock.release();
});

test("an expired lock counts as free, even before another owner takes it", async ({ db, queue: key }) => {
  const locks = createLocks({ db });
  const lock = await locks.acquire(key, { ttlMs: 60_000 });

  await expireLock(db, key);

  await expect(db.transaction((tx) => lock.guard(tx))).rejects.toThrow(LockLostError);
  expect(lock.signal.aborted).toBe(true);
  expect(await lock.release()).toBe(false);
});
