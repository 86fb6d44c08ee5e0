import { type Database, silentLogger } from "@hark/core";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { PendingClaims } from "../claim/pending-claims.ts";
import { rescuer } from "./rescuer.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const leaseMs = 10_000;

/**
 * A rescuer on a database whose surveys answer when the next lease of another runs out, one answer
 * after the other.
 */
function rescuerBeside(nextExpiriesMs: (number | null)[]) {
  const askedAt: [statement: string, atMs: number][] = [];
  const startedAt = performance.now();
  const query = async ({ name = "" }: { name?: string }) => {
    askedAt.push([name, performance.now() - startedAt]);
    if (name !== "survey-leases") return { rows: [] };
    return { rows: [{ next_expiry_ms: nextExpiriesMs.shift() ?? null, has_orphans: false, mine: [] }] };
  };
  const pending = new PendingClaims();
  const loop = rescuer({
    db: { query } as unknown as Database,
    lease: { identity: undefined },
    attempts: { heldClaims: () => [] },
    pending,
    cancellations: { suspect: () => {} },
    leaseMs,
    logger: silentLogger,
  });
  return { loop, pending, askedAt };
}

test(
  "a rescuer looks again just after the next lease would run out, and once a lease if there is none",
  { tags: ["FM-15"] },
  async () => {
    const { loop, askedAt } = rescuerBeside([3_000, 700, null, 60_000]);
    loop.start();
    await vi.advanceTimersByTimeAsync(3_020 + 720 + 10_000 + 10_000 + 1);
    await Promise.all([loop.stop(), vi.advanceTimersByTimeAsync(1)]);

    expect(askedAt.map(([name]) => name)).toEqual(Array(5).fill("survey-leases"));
    expect(askedAt.map(([, at]) => at)).toEqual([0, 3_020, 3_740, 13_740, 23_740]);
  },
);

test("a lease that has run out is handled at once, and checked again soon while another transaction locks its row", async () => {
  const { loop, askedAt } = rescuerBeside([-5, -10, null]);
  loop.start();
  await vi.advanceTimersByTimeAsync(41);
  await Promise.all([loop.stop(), vi.advanceTimersByTimeAsync(1)]);

  expect(askedAt).toEqual([
    ["survey-leases", 0],
    ["certify-deaths", 0],
    ["survey-leases", 20],
    ["certify-deaths", 20],
    ["survey-leases", 40],
  ]);
});

test("after a claim without an answer, a rescuer looks at once, twice more, and then once a lease again", async () => {
  const { loop, pending, askedAt } = rescuerBeside([]);
  loop.start();
  await vi.advanceTimersByTimeAsync(1_000);
  pending.unanswered.emit();
  await vi.advanceTimersByTimeAsync(leaseMs + 501);
  await Promise.all([loop.stop(), vi.advanceTimersByTimeAsync(1)]);

  expect(askedAt.map(([, at]) => at)).toEqual([0, 1_000, 1_250, 1_500, 11_500]);
});
