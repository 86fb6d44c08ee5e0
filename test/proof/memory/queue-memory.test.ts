import { expect } from "vitest";
import { tell } from "../../support/long.ts";
import { mib, test } from "./part.ts";

test(
  "a PostgresQueue whose callers find no job holds no more after thousands of waits",
  { tags: ["FM-52"] },
  async ({ part }) => {
    const idle = await part("idle queue");
    await idle.work(1_000);
    const before = await idle.heldBytes();
    await idle.work(2_500);
    const growth = (await idle.heldBytes()) - before;
    tell(`2,500 waits without a job: ${mib(growth)} more`);
    expect(growth).toBeLessThan(2 ** 20); // 0.4 KiB each
  },
);

test(
  "a PostgresQueue lets go of jobs whose lease it has lost, though no caller settles them",
  { tags: ["FM-52"] },
  async ({ part, db }) => {
    const losing = await part("losing queue");
    await losing.work(5);
    const before = await losing.heldBytes();
    const jobs = 200;
    await losing.work(jobs);
    const held = (await losing.heldBytes()) - before;
    expect(held).toBeGreaterThan(10 * 2 ** 20); // or the test would show nothing

    await db.pool.query("update hark.workers set dead_at = clock_timestamp() where dead_at is null");
    await expect
      .poll(async () => (await losing.heldBytes()) - before, { timeout: 90_000, interval: 500 })
      .toBeLessThan(2 * 2 ** 20);
    tell(`${jobs} jobs held ${mib(held)}, and ${mib((await losing.heldBytes()) - before)} after their lease was lost`);
  },
);

test(
  "a PostgresQueue lets go of locks that were released long before their time is up",
  { tags: ["FM-52"] },
  async ({ part }) => {
    const locking = await part("locking queue");
    await locking.work(1_000);
    const before = await locking.heldBytes();
    await locking.work(5_000);
    const growth = (await locking.heldBytes()) - before;
    tell(`5,000 locks: ${mib(growth)} more`);
    expect(growth).toBeLessThan(2 ** 20); // 0.2 KiB each
  },
);
