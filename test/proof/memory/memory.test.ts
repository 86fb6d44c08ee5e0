import { expect, vi } from "vitest";
import { countJobs } from "../../support/jobs.ts";
import { isLong, repeats, tell } from "../../support/long.ts";
import { mib, test } from "./part.ts";

/*
 * What lives long must not grow with the jobs that passed: a worker, a producer, a PostgresQueue
 * and a server, each in a process of its own. Their jobs have keys and unique keys, take locks,
 * fail, are cancelled while they wait and run, and lose their lease.
 */

/** Of one round; each part adds its share. */
const jobs = { producer: 8_850, queue: 900, server: 200 };
const inRound = jobs.producer + 50 + jobs.queue + jobs.server;

/** Code is compiled and caches are filled in the first. */
const firstRounds = 1;
const rounds = repeats({ few: 1, full: 1_000_000 / inRound - firstRounds });

/** How much more a part may hold after all rounds than after the first. */
const mostGrowth = 5 * 2 ** 20;

vi.setConfig({ testTimeout: 120_000 + (firstRounds + rounds) * 20_000 });

test(
  "no part of Hark grows with the jobs that passed: keyed, locked, cancelled and lost",
  { tags: ["FM-52"] },
  async ({ part, db }) => {
    const names = ["worker", "producer", "queue", "server"] as const;
    const parts = await Promise.all(names.map(part));
    const held = () => Promise.all(parts.map((each) => each.heldBytes()));
    const left = async () => {
      const { completed: _, cancelled: __, dead: ___, ...unfinished } = await countJobs(db, "soak");
      return unfinished;
    };
    const round = async () => {
      const working = [parts[1]!.work(jobs.producer), parts[2]!.work(jobs.queue), parts[3]!.work(jobs.server)];
      await working[0];
      // Another worker declares them dead: they lose what they have, and come back.
      await db.pool.query("update hark.workers set dead_at = clock_timestamp() where dead_at is null");
      await Promise.all(working);
      await expect.poll(left, { timeout: 60_000 }).toEqual({});
      await db.pool.query("delete from hark.jobs where queue = 'default'"); // those that wait for a retry
    };
    const startedAt = performance.now();
    for (let each = 0; each < firstRounds; each += 1) await round();
    const before = await held();
    for (let each = 0; each < rounds; each += 1) await round();
    const after = await held();

    const growth = after.map((bytes, place) => bytes - before[place]!);
    const { rows } = await db.pool.query<{ lost: number }>(
      "select count(*)::int as lost from hark.attempts where ending in ('interrupted', 'crashed')",
    );
    tell(
      `${(firstRounds + rounds) * inRound} jobs in ${Math.round((performance.now() - startedAt) / 1_000)} s, ` +
        `${rows[0]!.lost} lost leases: ` +
        names.map((name, place) => `${name} ${mib(before[place]!)} and ${mib(growth[place]!)} more`).join(", "),
    );
    expect(rows[0]!.lost).toBeGreaterThan(isLong ? 1_000 : 10);
    for (const [place, name] of names.entries()) expect(growth[place], name).toBeLessThan(mostGrowth);
  },
);
