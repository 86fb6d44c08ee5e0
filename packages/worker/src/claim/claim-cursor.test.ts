import type { statements } from "@hark/core/internal";
import { expect, test } from "vitest";
import { behindLast, behindLastOfType, ClaimCursor, fullScanEveryMs } from "./claim-cursor.ts";

const jobs = (...ids: bigint[]) => ids.map((id) => ({ id, priority: 0 }) as statements.ClaimedJob);
const claim = (
  found: readonly statements.ClaimedJob[],
  startedAt: number,
  endedAt: number,
  after?: { id: bigint },
) => ({
  limit: 2,
  after: after && { ...after, priority: 0 },
  jobs: found,
  startedAt,
  endedAt,
});

test("full scans take a hundredth of the time, and up to a tenth if they would otherwise come less than every 2 s", () => {
  expect([5, 20, 50, 100, 500, 2_000].map(fullScanEveryMs)).toEqual([500, 2_000, 2_000, 2_000, 5_000, 20_000]);
});

test("after a slow full scan claims start behind the last job, until the next full scan is due", () => {
  const cursor = new ClaimCursor(behindLast);
  cursor.move(claim(jobs(1n, 2n), 0, 4));
  expect(cursor.after).toBeUndefined();

  cursor.move(claim(jobs(3n, 4n), 100, 105));
  expect(cursor.after).toMatchObject({ id: 4n });
  cursor.move(claim(jobs(5n, 6n), 110, 111, { id: 4n }));
  expect(cursor.after).toMatchObject({ id: 6n });
  cursor.move(claim(jobs(7n, 8n), 599, 600, { id: 6n })); // 500 ms after the last full scan began
  expect(cursor.after).toBeUndefined();
});

test("a claim that got fewer jobs than it asked for is followed by a full scan", () => {
  const cursor = new ClaimCursor(behindLast);
  cursor.move(claim(jobs(1n, 2n), 0, 50));
  expect(cursor.after).toBeDefined();
  cursor.move(claim(jobs(3n), 60, 61, { id: 2n }));
  expect(cursor.after).toBeUndefined();
});

test("after a full scan of 100 ms no parallel claim is sent, until a scan is quicker", () => {
  const cursor = new ClaimCursor(behindLast);
  cursor.move(claim(jobs(1n, 2n), 0, 99));
  expect(cursor.isScanSlow).toBe(false);
  cursor.move(claim(jobs(3n, 4n), 3_000, 3_100));
  expect(cursor.isScanSlow).toBe(true);
  cursor.move(claim(jobs(5n, 6n), 3_200, 3_201, { id: 4n }));
  expect(cursor.isScanSlow).toBe(true);
  cursor.move(claim(jobs(7n, 8n), 9_000, 9_001));
  expect(cursor.isScanSlow).toBe(false);
});

test("by types, each type's claims start behind the last job of that type", () => {
  const cursor = new ClaimCursor(behindLastOfType);
  const typed = (...ids: [id: bigint, type: string][]) =>
    ids.map(([id, type]) => ({ id, type, priority: 0 }) as statements.ClaimedJob);
  cursor.move({ limit: 2, jobs: typed([1n, "a"], [9n, "b"]), startedAt: 0, endedAt: 50 });
  cursor.move({ limit: 2, after: cursor.after, jobs: typed([2n, "a"], [3n, "a"]), startedAt: 60, endedAt: 61 });
  expect(cursor.after).toEqual(
    new Map([
      ["a", { id: 3n, priority: 0 }],
      ["b", { id: 9n, priority: 0 }],
    ]),
  );
});
