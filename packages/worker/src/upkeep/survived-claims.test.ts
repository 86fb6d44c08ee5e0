import { type Database, silentLogger } from "@hark/core";
import type { statements } from "@hark/core/internal";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { WorkerEvents } from "../run/events.ts";
import { TypedEvent } from "../runtime/event.ts";
import { survivedClaims } from "./survived-claims.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const leaseMs = 10_000;

/** Survived claims of a worker that holds `held`, and the ids of each look at them. */
function survivedOnClock(held: readonly statements.Claim[] = []) {
  const looks: string[][] = [];
  const query = async ({ values }: { values: unknown[] }) => {
    looks.push(String(values[0]).match(/\d+/g) ?? []);
    return { rows: [{ absolved: 0 }] };
  };
  const lease = {
    identity: "worker" as string | undefined,
    wasHung: false,
    lost: new TypedEvent(),
    registered: new TypedEvent(),
  };
  const events = new WorkerEvents(silentLogger);
  const attempts = { heldClaims: () => [...held] };
  const loop = survivedClaims({
    db: { query } as never as Database,
    lease,
    attempts,
    events,
    leaseMs,
    logger: silentLogger,
  });
  loop.start();
  const refuse = (id: bigint) => events.tell("refused", { id, token: "token" } as statements.ClaimedJob);
  return { looks, lease, loop, refuse };
}

test("a refused claim is looked at for one lease, however many follow it", { tags: ["FM-52"] }, async () => {
  const { looks, loop, refuse } = survivedOnClock();
  for (let id = 1n; id <= 500n; id += 1n) {
    refuse(id);
    await vi.advanceTimersByTimeAsync(100);
  }
  const looksAt = (id: string) => looks.filter((ids) => ids.includes(id)).length;
  expect(Math.max(...looks.map((ids) => ids.length))).toBeLessThanOrEqual(leaseMs / 100 + 1);
  expect(looksAt("1")).toBeGreaterThanOrEqual(4);

  await vi.advanceTimersByTimeAsync(2 * leaseMs);
  expect(looksAt("500")).toBeGreaterThanOrEqual(4);
  const before = looks.length;
  await vi.advanceTimersByTimeAsync(10 * leaseMs);
  expect(looks).toHaveLength(before);
  await loop.stop();
});

test("the claims of a lost lease are looked at for one lease once it is back, and not before", async () => {
  const { looks, lease, loop } = survivedOnClock([{ id: 7n, token: "token" }]);
  lease.identity = undefined;
  lease.lost.emit();
  await vi.advanceTimersByTimeAsync(5 * leaseMs);
  expect(looks).toEqual([]);

  lease.identity = "worker";
  lease.registered.emit();
  await vi.advanceTimersByTimeAsync(5 * leaseMs);
  expect(looks.length).toBeGreaterThanOrEqual(4);
  expect(new Set(looks.flat())).toEqual(new Set(["7"]));
  expect(looks.length).toBeLessThan(8);
  await loop.stop();
});
