import { type Database, silentLogger } from "@hark/core";
import type { statements } from "@hark/core/internal";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ClaimConfirmer } from "./claim-confirmer.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const claim = (id: bigint): statements.Claim => ({ id, token: `token ${id}` });

/**
 * A confirmer whose database knows which claims stand. It does not ask for claims whose job has
 * ended.
 */
function makeConfirmer(answer: () => { id: bigint; isHeld: boolean }[] | Error) {
  const asked: unknown[] = [];
  const aborted: bigint[] = [];
  const suspected: bigint[] = [];
  const ended = new Set<bigint>();
  const lease: { identity: string | undefined } = { identity: "worker" };
  const query = async ({ values }: { values: unknown[] }) => {
    asked.push(values);
    const answered = answer();
    if (answered instanceof Error) throw answered;
    return { rows: answered.map(({ id, isHeld }) => ({ id, token: claim(id).token, is_held: isHeld })) };
  };
  const confirmer = new ClaimConfirmer({
    db: { query } as unknown as Database,
    attempts: {
      unfinished: (claims) => claims.filter(({ id }) => !ended.has(id)),
      abortLost: (claims) => {
        const ids = claims.map(({ id }) => id);
        aborted.push(...ids);
        return ids;
      },
    },
    lease,
    cancellations: { suspect: (id) => suspected.push(id) },
    logger: silentLogger,
  });
  return { confirmer, asked, aborted, suspected, ended, lease };
}

test("claims are checked in one statement 2 ms later, and jobs whose claim stands go on", async () => {
  const { confirmer, asked, aborted, suspected } = makeConfirmer(() => [
    { id: 1n, isHeld: true },
    { id: 2n, isHeld: true },
  ]);
  confirmer.add([claim(1n)]);
  confirmer.add([claim(2n)]);
  await vi.advanceTimersByTimeAsync(1);
  expect(asked).toHaveLength(0);
  await vi.advanceTimersByTimeAsync(1);
  expect([asked.length, aborted, suspected]).toEqual([1, [], []]);
});

test("a claim whose job has already ended is not checked", async () => {
  const { confirmer, asked, ended } = makeConfirmer(() => []);
  confirmer.add([claim(1n)]);
  ended.add(1n);
  await vi.advanceTimersByTimeAsync(10);
  expect(asked).toEqual([]);
});

test("a job is aborted if the database does not know its claim, and looked up as cancelled if it is in no table", async () => {
  const { confirmer, aborted, suspected } = makeConfirmer(() => [
    { id: 1n, isHeld: true },
    { id: 2n, isHeld: false },
  ]);
  confirmer.add([claim(1n), claim(2n), claim(3n)]);
  await vi.advanceTimersByTimeAsync(2);
  expect([aborted, suspected]).toEqual([[2n], [3n]]);
});

test("a check that fails aborts the jobs, because the server most likely crashed", async () => {
  const { confirmer, aborted } = makeConfirmer(() => new Error("Connection terminated unexpectedly"));
  confirmer.add([claim(1n), claim(2n)]);
  await vi.advanceTimersByTimeAsync(2);
  expect(aborted).toEqual([1n, 2n]);
});

test("without a lease nothing is checked, because the jobs were already aborted", async () => {
  const { confirmer, asked, lease } = makeConfirmer(() => []);
  confirmer.add([claim(1n)]);
  lease.identity = undefined;
  await vi.advanceTimersByTimeAsync(10);
  expect(asked).toEqual([]);
});

test("a claim that comes during a check is checked after it, and a stop waits for both", async () => {
  const { confirmer, asked } = makeConfirmer(() => []);
  confirmer.add([claim(1n)]);
  await vi.advanceTimersToNextTimerAsync();
  confirmer.add([claim(2n)]);
  const stopped = confirmer.stop();
  await vi.advanceTimersByTimeAsync(10);
  await stopped;
  expect(asked).toHaveLength(2);
});
