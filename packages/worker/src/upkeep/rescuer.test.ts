import { type Database, silentLogger } from "@hark/core";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { PendingClaims } from "../claim/pending-claims.ts";
import type { Renewed } from "../lease/lease-renewal.ts";
import { TypedEvent } from "../runtime/event.ts";
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
  const held: { id: bigint; token: string }[] = [];
  const lease = {
    identity: undefined,
    renewed: new TypedEvent<Renewed>(),
    lost: new TypedEvent(),
    registered: new TypedEvent(),
  };
  const loop = rescuer({
    db: { query } as unknown as Database,
    lease,
    attempts: { heldClaims: () => held },
    pending,
    cancellations: { suspect: () => {} },
    leaseMs,
    logger: silentLogger,
  });
  return { loop, pending, held, lease, renewed: lease.renewed, askedAt };
}

test(
  "a rescuer looks again just after the next lease would run out, and once in six leases if there is none",
  { tags: ["FM-15"] },
  async () => {
    const { loop, askedAt } = rescuerBeside([3_000, 700, null, 120_000]);
    loop.start();
    await vi.advanceTimersByTimeAsync(3_020 + 720 + 60_000 + 60_000 + 1);
    await Promise.all([loop.stop(), vi.advanceTimersByTimeAsync(1)]);

    expect(askedAt.map(([name]) => name)).toEqual(Array(5).fill("survey-leases"));
    expect(askedAt.map(([, at]) => at)).toEqual([0, 3_020, 3_740, 63_740, 123_740]);
  },
);

test("while it holds a job it looks once a lease, counted from the last look", async () => {
  const { loop, held, askedAt } = rescuerBeside([]);
  loop.start();
  await vi.advanceTimersByTimeAsync(4_000);
  held.push({ id: 1n, token: "one" });
  await vi.advanceTimersByTimeAsync(20_000);
  await Promise.all([loop.stop(), vi.advanceTimersByTimeAsync(1)]);

  expect(askedAt.map(([, at]) => at)).toEqual([0, 10_000, 20_000]);
});

test(
  "renewals put the look off while the others renew too, and ask for one when a worker has come, gone or is late",
  { tags: ["FM-15"] },
  async () => {
    const { loop, renewed, askedAt } = rescuerBeside([3_000, 60_000, 60_000]);
    const news = { peers: undefined, othersExpireInMs: 9_000, notificationQueueUsage: 0 };
    loop.start();
    await vi.advanceTimersByTimeAsync(2_000);
    renewed.emit(news);
    await vi.advanceTimersByTimeAsync(2_000);
    renewed.emit({ ...news, othersExpireInMs: 2_000 }); // it did not renew
    await vi.advanceTimersByTimeAsync(2_500);
    expect(askedAt.map(([, at]) => at)).toEqual([0, 6_020]);

    renewed.emit({ ...news, peers: [] });
    await vi.advanceTimersByTimeAsync(1);
    expect(askedAt).toHaveLength(3);
    await Promise.all([loop.stop(), vi.advanceTimersByTimeAsync(1)]);
  },
);

test("a lease that has run out is handled at once, and checked again soon while its worker may not be declared dead", async () => {
  const { loop, askedAt } = rescuerBeside([-5, -10, null]);
  loop.start();
  await vi.advanceTimersByTimeAsync(1_041);
  await Promise.all([loop.stop(), vi.advanceTimersByTimeAsync(1)]);

  expect(askedAt).toEqual([
    ["survey-leases", 0],
    ["certify-deaths", 0],
    ["survey-leases", 500],
    ["certify-deaths", 500],
    ["survey-leases", 1_000],
  ]);
});

test("after a claim without an answer, a rescuer looks at once, twice more, and then as usual", async () => {
  const { loop, pending, askedAt } = rescuerBeside([]);
  loop.start();
  await vi.advanceTimersByTimeAsync(1_000);
  pending.unanswered.emit();
  await vi.advanceTimersByTimeAsync(6 * leaseMs + 501);
  await Promise.all([loop.stop(), vi.advanceTimersByTimeAsync(1)]);

  expect(askedAt.map(([, at]) => at)).toEqual([0, 1_000, 1_250, 1_500, 61_500]);
});

test("after a lease that was lost came back, a rescuer looks at once and twice more, for claims without an answer", async () => {
  const { loop, lease, askedAt } = rescuerBeside([]);
  loop.start();
  lease.registered.emit(); // the first one is no reason to look
  await vi.advanceTimersByTimeAsync(1_000);
  lease.lost.emit();
  lease.registered.emit();
  await vi.advanceTimersByTimeAsync(501);
  await Promise.all([loop.stop(), vi.advanceTimersByTimeAsync(1)]);

  expect(askedAt.map(([, at]) => at)).toEqual([0, 1_000, 1_250, 1_500]);
});
