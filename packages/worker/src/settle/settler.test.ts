import { type Database, type Outcome, silentLogger } from "@hark/core";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { NextOfKey } from "../claim/next-of-key.ts";
import { PendingClaims } from "../claim/pending-claims.ts";
import { Settler } from "./settler.ts";
import type { Settlement } from "./unsettled.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const success: Outcome = { state: "completed", resultJson: null };
const failure: Outcome = { state: "scheduled", ending: "error", attempt: 1, error: "no", delayMs: 1_000 };

/**
 * A settler whose database takes every outcome at once, and when it was asked to, in ms, with how
 * many.
 */
function settlerOnClock() {
  const beganAt = performance.now();
  const writes: [atMs: number, name: string, jobs: number][] = [];
  const failures: Error[] = [];
  const query = async ({ name, values }: { name: string; values: unknown[] }) => {
    const ids = String(values[0]).match(/\d+/g)!; // an array, or its text
    writes.push([performance.now() - beganAt, name, ids.length]);
    const error = failures.shift();
    if (error) throw error;
    return { rows: ids.map((id) => ({ kind: "settled", id })) };
  };
  const nextOfKey = new NextOfKey({ lease: { identity: "worker" }, pending: new PendingClaims(), types: [] });
  nextOfKey.start();
  const settler = new Settler({ db: { query } as never as Database, nextOfKey, logger: silentLogger });
  let id = 0n;
  const settle = (outcome: Outcome, handsOff = false) =>
    new Promise<Settlement>((done) => {
      id += 1n;
      settler.settle({ id, token: crypto.randomUUID(), handsOff }, outcome, done);
    });
  const names = () => writes.map(([, name]) => name);
  return { writes, names, settle, failures, nextOfKey };
}

test("a success is written at once, and those of a stream every 5 ms", { tags: ["FM-41"] }, async () => {
  const { writes, settle } = settlerOnClock();
  const settled: Promise<Settlement>[] = [];
  for (let ms = 0; ms < 20; ms += 1) {
    settled.push(settle(success));
    await vi.advanceTimersByTimeAsync(1);
  }
  await vi.advanceTimersByTimeAsync(10);

  expect(new Set(await Promise.all(settled))).toEqual(new Set([success]));
  expect(writes[0]).toEqual([0, "complete-jobs", 1]);
  expect(writes.length).toBeGreaterThanOrEqual(4);
  const times = writes.map(([atMs]) => atMs);
  for (const [place, atMs] of times.slice(1).entries()) expect(atMs - times[place]!).toBeGreaterThanOrEqual(5);
});

test(
  "a success that others of its key wait for, a failure and a full batch are written at once",
  { tags: ["FM-41"] },
  async () => {
    type Settle = ReturnType<typeof settlerOnClock>["settle"];
    const urgents: ((settle: Settle) => unknown)[] = [
      (settle) => settle(success, true),
      (settle) => settle(failure),
      (settle) => Array.from({ length: 1_000 }, () => settle(success)),
    ];
    for (const urgent of urgents) {
      const { writes, settle } = settlerOnClock();
      void settle(success);
      await vi.advanceTimersByTimeAsync(1);
      void settle(success); // gathers
      await vi.advanceTimersByTimeAsync(1);
      expect(writes).toHaveLength(1);

      void urgent(settle);
      await vi.advanceTimersByTimeAsync(1);
      expect(writes.reduce((sum, [, , jobs]) => sum + jobs, 0)).toBeGreaterThan(2);
      expect(writes.at(-1)![0]).toBeLessThan(4);
    }
  },
);

test("a batch with a success whose key others wait for claims the next with its commit", async () => {
  const { writes, settle } = settlerOnClock();
  const settled = [settle(success), settle(success, true), settle(success), settle(failure, true)];
  await vi.advanceTimersByTimeAsync(1);
  expect(await Promise.all(settled)).toEqual([success, success, success, failure]);
  expect(writes.map(([, name, jobs]) => [name, jobs])).toEqual([
    ["complete-and-claim-next", 3],
    ["retry-jobs", 1],
  ]);
});

test("without one it only settles, and so it does once claiming has stopped", async () => {
  const { names, settle, nextOfKey } = settlerOnClock();
  await Promise.all([settle(success), vi.advanceTimersByTimeAsync(1)]);
  await nextOfKey.stop();
  await Promise.all([settle(success, true), vi.advanceTimersByTimeAsync(1)]);
  expect(names()).toEqual(["complete-jobs", "complete-jobs"]);
});

test("if that commit is not answered, the success is written again without a claim", async () => {
  const { names, settle, failures } = settlerOnClock();
  failures.push(new Error("Connection terminated unexpectedly"));
  const settled = settle(success, true);
  await vi.advanceTimersByTimeAsync(200);
  expect(await settled).toEqual(success);
  expect(names()).toEqual(["complete-and-claim-next", "complete-jobs"]);
});

test("if the database rejects a row of that commit, the others still claim the next of their keys", async () => {
  const { writes, settle, failures } = settlerOnClock();
  failures.push(Object.assign(new Error("no"), { severity: "ERROR", code: "22P05" }));
  const settled = [settle(success, true), settle(success, true)];
  await vi.advanceTimersByTimeAsync(200);
  expect(await Promise.all(settled)).toEqual([success, success]);
  expect(writes.map(([, name, jobs]) => [name, jobs])).toEqual([
    ["complete-and-claim-next", 2],
    ["complete-and-claim-next", 1],
    ["complete-and-claim-next", 1],
  ]);
});
