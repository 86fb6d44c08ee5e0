import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { TypedEvent } from "../runtime/event.ts";
import type { Settler } from "../settle/settler.ts";
import { Quarantine } from "./quarantine.ts";
import { Slots } from "./slots.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function makeSlots({ capacity = 2, isPrefetching = true } = {}) {
  const settler = { isBehind: false, caughtUp: new TypedEvent() };
  const quarantine = new Quarantine();
  const slots = new Slots({
    queue: "q",
    capacity,
    isPrefetching,
    settler: settler as unknown as Settler,
    quarantine,
  });
  let offers = 0;
  slots.free.on(() => (offers += 1));
  return { slots, settler, quarantine, offers: () => offers };
}

/** A job that runs until the test ends it, and the time when it began. */
function makeJob() {
  const { promise, resolve } = Promise.withResolvers<string>();
  const job = { hasBegun: false, run: () => ((job.hasBegun = true), promise), end: () => resolve("ended") };
  return job;
}

test("no more jobs run at once than there are slots, and the next begins when one ends", async () => {
  const { slots } = makeSlots();
  const jobs = [makeJob(), makeJob(), makeJob()];
  const results = jobs.map((job) => slots.run(job));
  await vi.advanceTimersByTimeAsync(0);
  expect(jobs.map(({ hasBegun }) => hasBegun)).toEqual([true, true, false]);

  jobs[0]!.end();
  expect(await results[0]).toBe("ended");
  await vi.advanceTimersByTimeAsync(0);
  expect(jobs[2]!.hasBegun).toBe(true);
});

test("demand leaves out the jobs that are here or being claimed", async () => {
  const { slots } = makeSlots({ capacity: 5 });
  expect(slots.demand).toBe(5);
  void slots.run(makeJob());
  await vi.advanceTimersByTimeAsync(0);
  expect(slots.demand).toBe(4);

  const release = slots.reserve(3);
  expect(slots.demand).toBe(1);
  release();
  release();
  expect(slots.demand).toBe(4);
});

test("demand is 0 while outcomes pile up, and the claimers are told when it rises again", () => {
  const { slots, settler, offers } = makeSlots();
  settler.isBehind = true;
  expect(slots.demand).toBe(0);
  slots.offer();
  expect(offers()).toBe(0);

  settler.isBehind = false;
  settler.caughtUp.emit();
  expect(offers()).toBe(1);
});

test("demand is 0 while a suspect waits to run alone, and the claimers are told when it has ended", () => {
  const { slots, quarantine, offers } = makeSlots();
  quarantine.admits({ crashCount: 2 } as never);
  expect(slots.demand).toBe(0);
  quarantine.leave();
  expect(offers()).toBe(1);
});

test("slots may be opened and closed while jobs run", async () => {
  const { slots, offers } = makeSlots({ capacity: 0, isPrefetching: false });
  expect(slots.demand).toBe(0);
  slots.resize(1);
  expect([slots.demand, offers()]).toEqual([1, 1]);

  const jobs = [makeJob(), makeJob()];
  for (const job of jobs) void slots.run(job);
  slots.resize(2);
  await vi.advanceTimersByTimeAsync(0);
  expect(jobs.map(({ hasBegun }) => hasBegun)).toEqual([true, true]);

  slots.resize(0);
  for (const job of jobs) job.end();
  await vi.advanceTimersByTimeAsync(0);
  expect(slots.demand).toBe(0);
});

test("without prefetching, demand is the number of free slots, however short the jobs are", async () => {
  const { slots } = makeSlots({ capacity: 2, isPrefetching: false });
  for (let jobs = 0; jobs < 100; jobs += 1) await slots.run({ run: () => Promise.resolve() });
  await vi.advanceTimersByTimeAsync(0);
  expect(slots.demand).toBe(2);
});

test("jobs that were claimed ahead and have waited for 60 to 70 ms are dropped, so that an idle process can take them", async () => {
  const { slots } = makeSlots({ capacity: 1 });
  void slots.run(makeJob());
  const waiting = slots.run(makeJob());
  let isDropped = false;
  waiting.catch(() => (isDropped = true));

  await vi.advanceTimersByTimeAsync(60);
  expect(isDropped).toBe(false);
  await vi.advanceTimersByTimeAsync(10);
  expect(isDropped).toBe(true);
});

test("a job behind short ones is not dropped, and no timer is left once none waits", async () => {
  const { slots } = makeSlots({ capacity: 1 });
  let ended = 0;
  const run = () => new Promise<void>((resolve) => setTimeout(() => resolve(void (ended += 1)), 30));
  for (let jobs = 0; jobs < 10; jobs += 1) {
    slots.run({ run }).catch(() => {});
    if (jobs > 1) await vi.advanceTimersByTimeAsync(30); // one comes as one ends
  }
  await vi.advanceTimersByTimeAsync(100);
  expect(ended).toBe(10);
  expect(vi.getTimerCount()).toBe(0);
});

test("jobs that wait for a slot may be dropped", async () => {
  const { slots } = makeSlots({ capacity: 1 });
  const first = makeJob();
  const running = slots.run(first);
  const waiting = slots.run(makeJob());
  await vi.advanceTimersByTimeAsync(0);
  slots.dropWaiting();

  await expect(waiting).rejects.toThrow("aborted");
  first.end();
  expect(await running).toBe("ended");
});
