import { type Database, silentLogger } from "@hark/core";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { TypedEvent } from "../runtime/event.ts";
import { Poll } from "./poll.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A poll of a promoter and the claimers of three queues, on a database that gives `answers`. */
function makePoll(
  answers: { ready?: string[]; next_due_in_ms?: number }[] = [],
  everyMs: [number, number] = [5_000, 5_000],
) {
  const asked: [queues: string[], asksDue: boolean][] = [];
  const query = async ({ values }: { values: unknown[] }) => {
    asked.push([values[0] as string[], values[2] as boolean]);
    return { rows: [{ ready: [], next_due_in_ms: null, ...answers.shift() }] };
  };
  const looks: string[] = [];
  const claimers = ["a", "b", "c"].map((queue) => {
    return { queue, awaitsPoll: true, expectsNotifications: false, look: () => void looks.push(queue) };
  });
  const dues: number[] = [];
  const promoter = { awaitsPoll: true, dueIn: (ms: number) => void dues.push(ms) };
  let missed = 0;
  const hurry = new TypedEvent();
  const poll = new Poll({
    db: { query } as unknown as Database,
    types: ["test.run"],
    claimers,
    promoter,
    queuesEveryMs: everyMs[0],
    dueEveryMs: everyMs[1],
    hurriedBy: [hurry],
    onMissed: () => (missed += 1),
    logger: silentLogger,
  });
  /** Runs the poll once. */
  const once = async () => {
    poll.start();
    await vi.advanceTimersByTimeAsync(0);
    await Promise.all([poll.stop(), vi.advanceTimersByTimeAsync(1)]);
  };
  return { once, claimers, promoter, asked, looks, dues, missed: () => missed, hurry, poll };
}

test("one statement asks for all that sleeps, and only what has something to do is woken", async () => {
  const { once, asked, looks, dues, missed } = makePoll([{ ready: ["b"], next_due_in_ms: 700 }]);
  await once();
  expect(asked).toEqual([[["a", "b", "c"], true]]);
  expect([looks, dues, missed()]).toEqual([["b"], [700], 0]);
});

test("what does not sleep is not asked for, and if nothing sleeps nothing is asked", async () => {
  const { once, claimers, promoter, asked } = makePoll();
  promoter.awaitsPoll = claimers[0]!.awaitsPoll = false;
  await once();
  expect(asked).toEqual([[["b", "c"], false]]);

  const busy = makePoll();
  for (const part of [busy.promoter, ...busy.claimers]) part.awaitsPoll = false;
  await busy.once();
  expect(busy.asked).toEqual([]);
});

test("a ready job that should have been announced raises a doubt about the listener, unless it was meanwhile", async () => {
  const { once, claimers, looks, missed } = makePoll([{ ready: ["a"] }]);
  claimers[0]!.expectsNotifications = true;
  await once();
  expect([looks, missed()]).toEqual([["a"], 1]);

  const woken = makePoll([{ ready: ["a"] }]);
  Object.defineProperty(woken.claimers[0]!, "awaitsPoll", { get: () => woken.asked.length === 0 });
  woken.claimers[0]!.expectsNotifications = true;
  await woken.once();
  expect([woken.looks, woken.missed()]).toEqual([[], 0]);
});

test("queues and scheduled jobs are asked for together where their intervals allow it, and each in its own time", async () => {
  const { poll, asked } = makePoll([], [600_000, 5_000]);
  poll.start();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked[0]).toEqual([["a", "b", "c"], true]);
  expect(asked.length).toBeGreaterThanOrEqual(11);
  for (const one of asked.slice(1)) expect(one).toEqual([[], true]);
  await Promise.all([poll.stop(), vi.advanceTimersByTimeAsync(1)]);

  const often = makePoll([], [1_000, 5_000]);
  often.poll.start();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(often.asked.length).toBeLessThanOrEqual(74); // none only for scheduled jobs
  expect(often.asked.every(([queues]) => queues.length === 3)).toBe(true);
  const withDue = often.asked.filter(([, asksDue]) => asksDue);
  expect(withDue.length).toBeGreaterThanOrEqual(11);
  expect(withDue.length).toBeLessThanOrEqual(19);
  await Promise.all([often.poll.stop(), vi.advanceTimersByTimeAsync(1)]);
});

test("it polls about once in its interval and never later, and counts failures in a row", async () => {
  const { poll, asked, claimers, hurry } = makePoll();
  poll.start();
  for (let polls = 1; polls <= 12; polls += 1) {
    await vi.advanceTimersByTimeAsync(5_000);
    expect(asked.length).toBeGreaterThanOrEqual(polls);
  }
  expect(asked.length).toBeLessThanOrEqual(16);

  claimers[0]!.look = () => expect.fail();
  Object.defineProperty(claimers[0]!, "awaitsPoll", {
    get: () => {
      throw new Error("no answer");
    },
  });
  await vi.advanceTimersByTimeAsync(30_000); // the rests after a failure have grown to some seconds
  const before = poll.failures;
  expect(before).toBeGreaterThan(1);
  while (poll.failures === before) await vi.advanceTimersByTimeAsync(10); // just now
  hurry.emit();
  await vi.advanceTimersByTimeAsync(10);
  expect(poll.failures).toBe(before + 2);
  await Promise.all([poll.stop(), vi.advanceTimersByTimeAsync(1)]);
});
