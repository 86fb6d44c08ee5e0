import { expect } from "vitest";
import { lostOrDoubled } from "../../support/explain.ts";
import { test } from "../../support/fixtures.ts";
import { countJobs, insertJobs } from "../../support/jobs.ts";
import type { Ledger } from "../../support/ledger.ts";
import { randomFrom, seedOfRun } from "../../support/random.ts";

const jobs = 10_000;
const keys = 100;
const workers = 4;

test(
  `in ${jobs} jobs over ${keys} keys on ${workers} worker processes no two of one key overlap, and all complete`,
  { tags: ["STRICT-1"] },
  async ({ db, databaseUrl, queue, ledger, startProcess }) => {
    const seed = seedOfRun();
    const random = randomFrom(seed);
    const ids: bigint[] = [];
    for (let batch = 0; batch < 10; batch += 1) {
      const requests = Array.from({ length: jobs / 10 }, (_, place) => ({
        queue,
        type: "test.task",
        payloadJson: `{"ms": ${place % 10 === 0 ? 3 : 0}}`,
        key: `key ${Math.trunc(random() * keys)}`, // in an even order they would keep out of each other's way
      }));
      ids.push(...(await insertJobs(db, requests)));
    }

    await Promise.all(
      Array.from({ length: workers }, (_, place) =>
        startProcess({ concurrency: 10, name: `worker ${place}`, clockUrl: databaseUrl, leaseMs: 20_000 }),
      ),
    );
    await expect.poll(() => countJobs(db, queue), { timeout: 200_000, interval: 250 }).toEqual({ completed: jobs });

    expect(await lostOrDoubled(db, ids)).toEqual([]);
    expect(overlaps(ledger), `seed ${seed}`).toEqual([]);
    const starts = ledger.of("started");
    expect(starts).toHaveLength(jobs);
    expect(new Set(starts.map(({ worker }) => worker)).size).toBe(workers); // or they had no chance to overlap
    expect(starts.every(({ attempt }) => attempt === 1)).toBe(true); // waiting for a key is no attempt
  },
);

/** Pairs of handlers of one key that ran at the same time, by the database's clock. */
function overlaps(ledger: Ledger): string[] {
  const ends = new Map(ledger.of("ended").map(({ token, id, databaseAt }) => [`${id} ${token}`, databaseAt!]));
  const found: string[] = [];
  for (const [key, starts] of Map.groupBy(ledger.of("started"), (entry) => entry.key)) {
    const inOrder = starts.toSorted((one, other) => one.databaseAt! - other.databaseAt!);
    for (const [place, start] of inOrder.entries()) {
      const former = inOrder[place - 1];
      if (!former) continue;
      const endedAt = ends.get(`${former.id} ${former.token}`) ?? Number.POSITIVE_INFINITY;
      if (start.databaseAt! < endedAt) found.push(`${key}: job ${start.id} started while job ${former.id} ran`);
    }
  }
  return found;
}
