import { defineJob, JobTimeoutError, LeaseLostError, silentLogger } from "@hark/core";
import { RetryBudget } from "@hark/core/internal";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Settlement } from "../settle/unsettled.ts";
import { Attempt, type AttemptParts } from "./attempt.ts";
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

function attemptOf(run: () => void | Promise<void>, changes: Partial<AttemptParts & typeof job> = {}): Attempt {
  const handler = implement(defineJob(job.type), run);
  const { slots, settler, marks, lease, ...ofJob } = changes;
  return new Attempt({ ...job, ...ofJob }, handler, {
    slots: slots ?? { run: (attempt) => attempt.run(), offer: () => {}, reserve: () => () => {} },
    lease: lease ?? { isHeld: () => true },
    marks: marks ?? { mark: () => Promise.resolve(true) },
    settler: settler ?? { settle: () => {} },
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

/** How many slots are kept for a job of these claims, until its outcome is told, and then. */
async function keptSlots(run: () => Promise<void>, handsOff: boolean) {
  let kept = 0;
  const offers: number[] = [];
  let tell: ((settlement: Settlement) => void) | undefined;
  const attempt = attemptOf(run, {
    handsOff,
    slots: {
      run: (started) => started.run(),
      offer: () => offers.push(kept),
      reserve: (jobs) => ((kept += jobs), () => (kept -= jobs)),
    },
    settler: { settle: (_claim, _outcome, done) => (tell = done) },
  });
  await attempt.live();
  const keptUntilTold = kept;
  tell!({ state: "completed", resultJson: null });
  return { keptUntilTold, kept, offers };
}

test("the slot of a success is kept for the next job of its key until that is claimed", async () => {
  const succeed = () => Promise.resolve();
  expect(await keptSlots(succeed, true)).toEqual({ keptUntilTold: 1, kept: 0, offers: [1, 0] });
  expect(await keptSlots(succeed, false)).toEqual({ keptUntilTold: 0, kept: 0, offers: [0] });
  expect(await keptSlots(() => Promise.reject(new Error("no")), true)).toMatchObject({ keptUntilTold: 0 });
});

const starts = [
  { named: "a first attempt of three", of: {}, isMarked: false },
  { named: "the last attempt", of: { attempt: 3 }, isMarked: true },
  { named: "an attempt after a crash", of: { attempt: 2, crashCount: 1 }, isMarked: true },
];

test.for(starts)(
  "$named starts after a mark: $isMarked, and not if its claim is gone by then",
  { tags: ["FM-75"] },
  async ({ of, isMarked }) => {
    for (const isThere of [true, false]) {
      const steps: string[] = [];
      const marks = {
        mark: () => {
          steps.push("marked");
          return Promise.resolve(isThere);
        },
      };
      const attempt = attemptOf(() => void steps.push("started"), { ...of, marks });
      const { kind } = await attempt.run();
      const mayStart = isThere || !isMarked;
      expect(steps).toEqual([...(isMarked ? ["marked"] : []), ...(mayStart ? ["started"] : [])]);
      expect(kind).toBe(mayStart ? "completed" : "interrupted");
    }
  },
);
