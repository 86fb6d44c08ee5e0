import { defineJob, JobCancelledError, LeaseLostError, type Outcome, silentLogger } from "@hark/core";
import type { statements } from "@hark/core/internal";
import { expect, test } from "vitest";
import { TypedEvent } from "../runtime/event.ts";
import type { Settler } from "../settle/settler.ts";
import type { Settlement } from "../settle/unsettled.ts";
import { Attempts } from "./attempts.ts";
import { WorkerEvents } from "./events.ts";
import { Executor } from "./executor.ts";
import { implement, type JobContext } from "./implement.ts";
import { Quarantine } from "./quarantine.ts";
import { Slots } from "./slots.ts";

type Settled = { id: bigint; outcome: Outcome; done: (settlement: Settlement) => void };

/** An executor of one queue, with a settler that keeps its outcomes. */
function makeExecutor(run: (context: JobContext) => unknown, { capacity = 2, isLeaseHeld = (): boolean => true } = {}) {
  const outcomes: Settled[] = [];
  const settler = {
    isBehind: false,
    caughtUp: new TypedEvent(),
    settle: ({ id }: { id: bigint }, outcome: Outcome, done: Settled["done"]) => outcomes.push({ id, outcome, done }),
  } as unknown as Settler;
  const events = new WorkerEvents(silentLogger);
  const told: string[] = [];
  events.on("started", ({ id }) => told.push(`started ${id}`));
  events.on("settled", ({ id }, { state }) => told.push(`settled ${id} ${state}`));
  events.on("refused", ({ id }) => told.push(`refused ${id}`));
  events.on("leaseLost", () => told.push("leaseLost"));
  const quarantine = new Quarantine();
  const lease = { isHeld: isLeaseHeld, lost: new TypedEvent() };
  const attempts = new Attempts();
  const slots = new Slots({ queue: "q", capacity, isPrefetching: true, settler, quarantine });
  const executor = new Executor({
    handlers: new Map([["test.run", implement(defineJob("test.run", { queue: "q" }), run as () => void)]]),
    slots: [slots],
    attempts,
    quarantine,
    lease,
    settler,
    marks: { mark: () => Promise.resolve(true) },
    events,
    graceMs: 1_000,
    cipher: undefined,
    logger: silentLogger,
  });
  return { executor, attempts, lease, slots, outcomes, told };
}

const jobOf = (id: bigint, changes: Partial<statements.ClaimedJob> = {}): statements.ClaimedJob => ({
  id,
  queue: "q",
  type: "test.run",
  payload: null,
  priority: 0,
  attempt: 1,
  maxAttempts: 3,
  crashCount: 0,
  key: undefined,
  handsOff: false,
  token: `token ${id}`,
  ...changes,
});

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const untilAborted = ({ signal }: JobContext) =>
  new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
const interrupted = { state: "scheduled", ending: "interrupted", attempt: 0, delayMs: 0 };

test("a job runs, its outcome goes to the settler, and an event reports its settlement", async () => {
  const { executor, attempts, outcomes, told } = makeExecutor(() => undefined);
  executor.submit(jobOf(1n));
  await turn();
  expect(outcomes).toMatchObject([{ id: 1n, outcome: { state: "completed", resultJson: null } }]);
  expect(attempts.size).toBe(1); // until it is settled

  outcomes[0]!.done(outcomes[0]!.outcome);
  expect(attempts.size).toBe(0);
  expect(told).toEqual(["started 1", "settled 1 completed"]);
});

test("a refused outcome is reported, and the attempt is forgotten", async () => {
  const { executor, attempts, outcomes, told } = makeExecutor(() => undefined);
  executor.submit(jobOf(1n));
  await turn();
  outcomes[0]!.done("refused");
  expect([attempts.size, told.at(-1)]).toEqual([0, "refused 1"]);
});

test("a job of a type without a handler throws", () => {
  const { executor } = makeExecutor(() => undefined);
  expect(() => executor.submit(jobOf(1n, { type: "test.other" }))).toThrow("which this worker does not run");
});

test("a job that is handed back never starts, and its attempt does not count", () => {
  const { executor, outcomes, told } = makeExecutor(() => undefined);
  executor.handBack(jobOf(1n));
  expect(outcomes).toMatchObject([{ id: 1n, outcome: interrupted }]);
  expect(told).toEqual([]);
});

test("no job starts on a lost lease, even before the message about it arrives", async () => {
  const { executor, outcomes, told } = makeExecutor(() => undefined, { isLeaseHeld: () => false });
  executor.submit(jobOf(1n));
  await turn();
  expect(outcomes).toMatchObject([{ outcome: interrupted }]);
  expect(told).toEqual([]);
});

test("when the lease is lost, every running job is aborted, and jobs that wait for a slot never start", async () => {
  const reasons: unknown[] = [];
  const { executor, lease, outcomes, told } = makeExecutor(
    (context) => {
      context.signal.addEventListener("abort", () => reasons.push(context.signal.reason));
      return untilAborted(context);
    },
    { capacity: 1 },
  );
  executor.submit(jobOf(1n));
  executor.submit(jobOf(2n));
  await turn();
  lease.lost.emit();
  await turn();

  expect(reasons).toEqual([expect.any(LeaseLostError)]);
  expect(told).toEqual(["started 1", "leaseLost"]);
  expect(outcomes.map(({ outcome }) => outcome)).toMatchObject([interrupted, interrupted]);
});

test("an abort by claim reaches only the attempt with that token", async () => {
  const reasons = new Map<string, unknown>();
  const { executor, attempts } = makeExecutor((context) => {
    context.signal.addEventListener("abort", () => reasons.set(context.token, context.signal.reason));
    return untilAborted(context);
  });
  executor.submit(jobOf(1n, { token: "former" }));
  executor.submit(jobOf(1n, { token: "present" }));
  await turn();
  expect(attempts.claimsOf(1n)).toHaveLength(2);

  attempts.abortCancelled({ id: 1n, token: "present" });
  expect([...reasons]).toEqual([["present", expect.any(JobCancelledError)]]);
});

test("a suspect waits until the other jobs have ended, and then runs alone", async () => {
  const ends = new Map<bigint, () => void>();
  const { executor, outcomes, slots } = makeExecutor(({ id }) => new Promise<void>((end) => ends.set(id, end)));
  executor.submit(jobOf(1n));
  executor.submit(jobOf(2n, { crashCount: 2 }));
  await turn();
  expect([...ends.keys()]).toEqual([1n]);
  expect(slots.demand).toBe(0);

  ends.get(1n)!();
  await turn();
  outcomes[0]!.done(outcomes[0]!.outcome);
  await turn();
  expect([...ends.keys()]).toEqual([1n, 2n]);
  executor.submit(jobOf(3n)); // from a claim that was on its way
  expect(outcomes[1]).toMatchObject({ id: 3n, outcome: interrupted });

  outcomes[1]!.done(outcomes[1]!.outcome);
  ends.get(2n)!();
  await turn();
  expect(slots.demand).toBeGreaterThan(0);
});

test("a stop hands back the jobs that wait for a slot, and ends once every outcome is settled", async () => {
  let end = () => {};
  const { executor, outcomes } = makeExecutor(() => new Promise<void>((resolve) => (end = resolve)), { capacity: 1 });
  executor.submit(jobOf(1n));
  executor.submit(jobOf(2n));
  await turn();
  let isStopped = false;
  const stopped = executor.stop().then(() => (isStopped = true));
  await turn();
  expect(outcomes).toMatchObject([{ id: 2n, outcome: interrupted }]);

  end();
  await turn();
  outcomes[0]!.done(outcomes[0]!.outcome);
  await turn();
  expect(isStopped).toBe(false);
  outcomes[1]!.done(outcomes[1]!.outcome);
  await stopped;
  executor.submit(jobOf(3n));
  expect(outcomes[2]).toMatchObject({ id: 3n, outcome: interrupted });
});
