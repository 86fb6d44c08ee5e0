import { defineJob, JobTimeoutError, LeaseLostError, silentLogger } from "@hark/core";
import { RetryBudget } from "@hark/core/internal";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Attempt } from "./attempt.ts";
import { WorkerEvents } from "./events.ts";
import { implement } from "./implement.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const graceMs = 5_000;
const job = {
  id: 1n,
  queue: "default",
  type: "test.attempt",
  payload: null,
  priority: 0,
  attempt: 1,
  maxAttempts: 3,
  crashCount: 0,
  key: undefined,
  handsOff: false,
  token: "00000000-0000-0000-0000-000000000001",
};

function attemptOf(run: () => Promise<void>): Attempt {
  const handler = implement(defineJob(job.type), run);
  return new Attempt(job, handler, {
    slots: { run: (attempt) => attempt.run(), offer: () => {}, reserve: () => () => {} },
    lease: { isHeld: () => true },
    settler: { settle: () => {} },
    events: new WorkerEvents(silentLogger),
    retries: new RetryBudget(),
    cipher: undefined,
    graceMs,
    logger: silentLogger,
    onSettled: () => {},
  });
}

// Found by the simulation: a stopped worker kept its process alive for the grace time.
test("an attempt that has ended, and is aborted while its outcome is being written, sets no timer", async () => {
  const attempt = attemptOf(() => Promise.resolve());
  expect(await attempt.run()).toMatchObject({ kind: "completed" });

  attempt.abort(new LeaseLostError(job));
  expect(attempt.signal.aborted).toBe(true);
  expect(vi.getTimerCount()).toBe(0);
});

test("an attempt whose handler ignores its signal ends without it after the grace time", async () => {
  const attempt = attemptOf(() => new Promise(() => {}));
  const ending = attempt.run();
  await vi.advanceTimersByTimeAsync(0);
  attempt.abort(new JobTimeoutError(job, 1));

  await vi.advanceTimersByTimeAsync(graceMs);
  expect(await ending).toMatchObject({ kind: "timeout" });
  expect(vi.getTimerCount()).toBe(0);
});
