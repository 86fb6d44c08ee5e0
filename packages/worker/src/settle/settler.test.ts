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
  const refused: { error?: Error | undefined; name?: string | undefined } = {};
  const setRefusal = (error: Error | undefined, name?: string) => Object.assign(refused, { error, name });
  const query = async ({ name, values }: { name: string; values: unknown[] }) => {
    const ids = String(values[0]).match(/\d+/g)!; // an array, or its text
    writes.push([performance.now() - beganAt, name, ids.length]);
    const error = failures.shift() ?? (refused.name === undefined || refused.name === name ? refused.error : undefined);
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
  return { writes, names, settle, failures, nextOfKey, settler, setRefusal };
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

const refusal = (code = "P0001") => Object.assign(new Error("not now"), { severity: "ERROR", code });

test(
  "an outcome that the database refuses for some seconds is written once it no longer does",
  { tags: ["FM-72"] },
  async () => {
    for (const outcome of [success, failure]) {
      const { writes, settle, setRefusal } = settlerOnClock();
      setRefusal(refusal());
      const settled = [settle(outcome), settle(outcome), settle(outcome)];
      await vi.advanceTimersByTimeAsync(8_000);
      expect(writes.length).toBeLessThan(5 + 8 * 2); // one probe a try, and not one statement a job
      setRefusal(undefined);
      await vi.advanceTimersByTimeAsync(6_000);
      expect(await Promise.all(settled)).toEqual([outcome, outcome, outcome]);
    }
  },
);

test(
  "a success that is refused for too long becomes a dead letter that says that the work was done",
  { tags: ["FM-72"] },
  async () => {
    const { settle, setRefusal } = settlerOnClock();
    setRefusal(refusal(), "complete-jobs");
    const settled = [settle(success), settle(success)];
    await vi.advanceTimersByTimeAsync(30_000);
    for (const settlement of await Promise.all(settled)) {
      expect(settlement).toMatchObject({
        state: "dead",
        error: expect.stringMatching(/^the job is done, but its success could not be stored.*\d times: Error: not now/),
      });
    }
  },
);

test(
  "a result whose data the database rejects is left out, and the job is completed",
  { tags: ["FM-72"] },
  async () => {
    const { settle, failures } = settlerOnClock();
    failures.push(refusal("22P05"), refusal("22P05")); // refused with its characters escaped, too
    const settled = settle({ state: "completed", resultJson: '"é"' });
    await vi.advanceTimersByTimeAsync(100);
    expect(await settled).toEqual(success);

    failures.push(refusal("22P05"));
    const escaped = settle({ state: "completed", resultJson: '"é"' });
    await vi.advanceTimersByTimeAsync(100);
    expect(await escaped).toEqual({ state: "completed", resultJson: '"\\\\u{e9}"' });
  },
);

test("a stop tries a refused outcome once more and no longer waits for it", { tags: ["FM-72"] }, async () => {
  const { settle, setRefusal, settler } = settlerOnClock();
  setRefusal(refusal(), "complete-jobs");
  const settled = settle(success);
  await vi.advanceTimersByTimeAsync(3_000);
  const stopped = settler.stop();
  await vi.advanceTimersByTimeAsync(100);
  await stopped;
  expect(await settled).toMatchObject({ state: "dead" });
});
