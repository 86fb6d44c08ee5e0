// @module-tag FM-48
// @module-tag FM-56
import { createLocks, type Lock, LockLostError, LockTimeoutError, silentLogger } from "@hark/core";
import { Listener } from "@hark/worker/internal";
import { expect } from "vitest";
import { test } from "../../support/fixtures.ts";
import { expireLock } from "../../support/pass-time.ts";
import { pick, randomFrom, seedOfRun } from "../../support/random.ts";

test(
  "acquire, renew, release, guard and the end of the time, in random order, keep one holder and growing fences",
  { tags: ["FM-48", "FM-56", "STRICT-5"] },
  async ({ db }) => {
    const seed = seedOfRun();
    const random = randomFrom(seed);
    const locks = createLocks({ db });
    const keys = ["one", "other"];
    /** The grant that holds by the model, if any. */
    const holder = new Map<string, Lock>();
    const highest = new Map<string, bigint>();
    const grants: Lock[] = [];

    for (let step = 0; step < 600; step += 1) {
      const key = pick(random, keys);
      const lock = pick(random, grants.filter((grant) => grant.key === key).slice(-3));
      const isHeld = lock !== undefined && holder.get(key) === lock;
      const action = pick(random, ["acquire", "acquire", "renew", "release", "guard", "expire"] as const);
      const what = `seed ${seed}, step ${step}: ${action} ${key}`;
      if (action === "acquire") {
        const answer = await locks.acquire(key, { ttlMs: 60_000 }).catch((error: unknown) => error);
        if (holder.has(key)) {
          expect(answer, what).toBeInstanceOf(LockTimeoutError);
          continue;
        }
        const grant = answer as Lock;
        expect(grant.fence, what).toBeGreaterThan(highest.get(key) ?? 0n);
        highest.set(key, grant.fence);
        holder.set(key, grant);
        grants.push(grant);
      } else if (action === "expire") {
        await expireLock(db, key);
        holder.delete(key);
      } else if (lock === undefined) {
        continue;
      } else if (action === "release") {
        // By token: what the object remembers of itself is not what decides.
        expect(await locks.release(key, lock.token), what).toBe(isHeld);
        if (isHeld) holder.delete(key);
      } else {
        const attempt = action === "renew" ? lock.renew() : db.transaction((tx) => lock.guard(tx));
        if (isHeld) await expect(attempt, what).resolves.toBeUndefined();
        else await expect(attempt, what).rejects.toThrow(LockLostError);
        if (!isHeld) expect(lock.signal.aborted, what).toBe(true);
      }
    }
    expect(grants.length).toBeGreaterThan(50);
    for (const grant of grants) await grant.release();
  },
);

test(
  "holders who come and go at once never overlap by the database's clock, and each has a higher fence",
  { tags: ["FM-56", "STRICT-5"] },
  async ({ db, databaseUrl }) => {
    const listener = new Listener({ connectionString: databaseUrl, logger: silentLogger });
    listener.start();
    try {
      await listener.whenListening();
      await db.pool.query("create table visits (key text, fence bigint, entered_at timestamptz, left_at timestamptz)");
      const lockers = Array.from({ length: 6 }, () => createLocks({ db, notifications: listener }));

      await Promise.all(
        lockers.map(async (locks, place) => {
          for (let visit = 0; visit < 25; visit += 1) {
            const key = `room ${(visit + place) % 2}`;
            await using lock = await locks.acquire(key, { ttlMs: 60_000, waitMs: 120_000 });
            const { rows } = await db.pool.query<{ at: string }>("select clock_timestamp()::text as at");
            await db.pool.query("insert into visits values ($1, $2, $3, clock_timestamp())", [
              key,
              lock.fence,
              rows[0]!.at,
            ]);
          }
        }),
      );

      const { rows } = await db.pool.query<{ visits: number; overlaps: number; disorder: number }>(
        `select count(*)::int as visits,
              count(*) filter (where entered_at < former_left)::int as overlaps,
              count(*) filter (where fence <= former_fence)::int as disorder
         from (select *, lag(left_at) over turn as former_left, lag(fence) over turn as former_fence
                 from visits window turn as (partition by key order by entered_at)) visits`,
      );
      expect(rows).toEqual([{ visits: 150, overlaps: 0, disorder: 0 }]);
      expect((await db.pool.query("select from hark.locks where key like 'room%'")).rowCount).toBe(0);
    } finally {
      await listener.close();
    }
  },
);
