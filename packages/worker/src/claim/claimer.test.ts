import { type Database, silentLogger } from "@hark/core";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Slots } from "../run/slots.ts";
import { TypedEvent } from "../runtime/event.ts";
import { Settler } from "../settle/settler.ts";
import type { Settlement } from "../settle/unsettled.ts";
import type { IdlePolicy } from "../wake/idle-policy.ts";
import { Claimer } from "./claimer.ts";
import { PendingClaims } from "./pending-claims.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

type Row = Record<string, unknown>;
interface Asked {
  name: string;
  limit: number;
  token: string;
}

/** A claimer on a database where `answer` returns the rows or the error of each claim. */
function makeClaimer(answer: (claim: Asked) => Row[] | Error | Promise<Row[]>) {
  const asked: Asked[] = [];
  const submitted: bigint[] = [];
  const handedBack: bigint[] = [];
  const confirmed: bigint[] = [];
  /** Running keys, among those whose jobs should be parked. */
  const running: string[] = [];
  const parked: string[] = [];
  /** Which jobs stand in front. */
  const head = { is_full: false, foreign_share: 0 };
  const query = async ({ name = "", values }: { name?: string; values: unknown[] }) => {
    if (name === "complete-jobs") return { rows: (values[0] as string).match(/\d+/g)!.map((id) => ({ id })) };
    if (name === "survey-head") return { rows: [head] };
    if (name === "park-jobs") {
      parked.push(...(values[1] as string[]));
      return { rows: running.map((key) => ({ key })) };
    }
    const claim = { name, limit: values[1] as number, token: values[3] as string };
    asked.push(claim);
    const answered = await answer(claim);
    if (answered instanceof Error) throw answered;
    return { rows: answered };
  };
  const db = { query } as unknown as Database;
  const slots = { queue: "q", demand: 2, isSerial: false, free: new TypedEvent(), reserve: () => () => {} };
  const lease: { identity: string | undefined } = { identity: "worker" };
  const idle = {
    isAsleep: false,
    wakes: 0,
    stays: 0,
    found: [] as number[],
    wake: () => void (idle.wakes += 1),
    doubt: () => void (idle.wakes += 1),
    stayAwake: () => void (idle.stays += 1),
    sleepOn: (): Promise<unknown> => Promise.resolve(undefined),
    rest: (found: number) => (idle.found.push(found), Promise.resolve("until rung" as const)),
  };
  const pending = new PendingClaims();
  const settler = new Settler({ db, logger: silentLogger });
  const claimer = new Claimer({
    db,
    claimDb: db,
    slots: slots as unknown as Slots,
    executor: {
      submit: ({ id }) => {
        slots.demand -= 1;
        submitted.push(id);
      },
      handBack: ({ id }) => handedBack.push(id),
    },
    settler,
    confirmer: { add: (claims) => confirmed.push(...claims.map(({ id }) => id)) },
    lease,
    pending,
    types: ["test.run"],
    idle: idle as unknown as IdlePolicy,
    pollMs: 5_000,
    logger: silentLogger,
  });
  const stop = () => Promise.all([claimer.stop(), vi.advanceTimersByTimeAsync(1)]);
  const world = { slots, lease, idle, pending, settler, running, head };
  return { claimer, asked, submitted, handedBack, confirmed, parked, stop, ...world };
}

/** What the database says if another claim took one of the keys. */
const keyTaken = () =>
  Object.assign(new Error("duplicate key"), { severity: "ERROR", code: "23505", constraint: "running_jobs_key" });

const row = (id: number, changes: Partial<Row> = {}): Row => ({
  kind: "job", id: String(id), type: "test.run", payload: null, priority: 0, attempt: 1, max_attempts: 3, crash_count: 0,
  key: null, hands_off: false, ...changes,
}); // prettier-ignore

test("it claims as many jobs as are wanted, starts them, and has asynchronous claims confirmed", async () => {
  const { claimer, asked, submitted, confirmed, idle, stop } = makeClaimer(() => [row(1)]);
  claimer.start();
  await vi.advanceTimersByTimeAsync(0);
  expect(asked).toMatchObject([{ name: "claim-plain-jobs", limit: 2 }]);
  expect([submitted, confirmed, idle.found]).toEqual([[1n], [1n], [1]]);
  await stop();
});

test("after a full claim it claims again at once, but not without a free slot", async () => {
  let next = 0;
  const { claimer, asked, slots, idle, stop } = makeClaimer(({ limit }) =>
    Array.from({ length: limit }, () => row((next += 1))),
  );
  claimer.start();
  await vi.advanceTimersByTimeAsync(0);
  expect([asked.length, idle.stays]).toEqual([1, 1]);

  slots.demand = 1;
  slots.free.emit();
  await vi.advanceTimersByTimeAsync(0);
  expect(asked).toHaveLength(2);
  await stop();
});

test("without a lease it claims nothing, and jobs claimed under a lost lease are handed back", async () => {
  const answers = Promise.withResolvers<Row[]>();
  const { claimer, asked, submitted, handedBack, lease, stop } = makeClaimer(() => answers.promise);
  lease.identity = undefined;
  claimer.start();
  await vi.advanceTimersByTimeAsync(0);
  expect(asked).toEqual([]);

  lease.identity = "one";
  claimer.resume();
  await vi.advanceTimersByTimeAsync(0);
  lease.identity = "two";
  answers.resolve([row(1)]);
  await vi.advanceTimersByTimeAsync(0);
  expect([asked.length, submitted, handedBack]).toEqual([1, [], [1n]]);
  await stop();
});

test("jobs of a claim that is answered after the stop are handed back, and the stop waits for that", async () => {
  const answers = Promise.withResolvers<Row[]>();
  const { claimer, submitted, handedBack } = makeClaimer(() => answers.promise);
  claimer.start();
  await vi.advanceTimersByTimeAsync(0);
  const stopped = claimer.stop();
  answers.resolve([row(1), row(2)]);
  await vi.advanceTimersByTimeAsync(0);
  await stopped;
  expect([submitted, handedBack]).toEqual([[], [1n, 2n]]);
});

test("a claim is pending until the executor has its jobs", async () => {
  const answers = Promise.withResolvers<Row[]>();
  const { claimer, asked, pending, stop } = makeClaimer(() => answers.promise);
  claimer.start();
  await vi.advanceTimersByTimeAsync(0);
  expect(pending.has(asked[0]!.token)).toBe(true);
  answers.resolve([]);
  await vi.advanceTimersByTimeAsync(0);
  expect(pending.has(asked[0]!.token)).toBe(false);
  await stop();
});

test("a claim without an answer is reported to the rescuer, and a rejected one is not", async () => {
  const failures = [
    new Error("Connection terminated unexpectedly"),
    Object.assign(new Error("no"), { severity: "ERROR", code: "22000" }),
  ];
  const { claimer, asked, pending, stop } = makeClaimer(() => failures.shift() ?? []);
  let unanswered = 0;
  pending.unanswered.on(() => (unanswered += 1));
  claimer.start();
  await vi.advanceTimersByTimeAsync(0);
  expect([unanswered, claimer.failures]).toEqual([1, 1]);
  while (asked.length < 2) await vi.advanceTimersByTimeAsync(1); // the rest after a failure is partly random
  expect([unanswered, claimer.failures]).toEqual([1, 2]);
  await stop();
});

test("a look that finds nothing is reported with the time at which it began", async () => {
  const { claimer, idle, stop } = makeClaimer(() => []);
  const foundNothing: number[] = [];
  claimer.foundNothing.on((startedAt) => foundNothing.push(startedAt));
  claimer.start();
  await vi.advanceTimersByTimeAsync(0);
  expect(foundNothing).toHaveLength(1);

  idle.sleepOn = () => Promise.resolve("until rung"); // it asked, and nothing is ready
  await vi.advanceTimersByTimeAsync(1_000);
  const askedAt = performance.now();
  claimer.look();
  await vi.advanceTimersByTimeAsync(0);
  expect(foundNothing).toHaveLength(2);
  expect(foundNothing[1]).toBeGreaterThanOrEqual(askedAt);
  await stop();
});

test("a free slot does not wake it while it sleeps, because no job is ready", async () => {
  const { claimer, asked, slots, idle, stop } = makeClaimer(() => []);
  claimer.start();
  await vi.advanceTimersByTimeAsync(0);
  idle.isAsleep = true;
  slots.free.emit();
  await vi.advanceTimersByTimeAsync(0);
  expect(asked).toHaveLength(1);
  await stop();
});

test("while the queue is deep, a claim settles the waiting successes", async () => {
  let next = 0;
  const { claimer, asked, slots, settler, stop } = makeClaimer(({ limit }) =>
    next < 4 ? Array.from({ length: limit }, () => row((next += 1))) : [],
  );
  const settled: Settlement[] = [];
  claimer.start();
  await vi.advanceTimersByTimeAsync(0);
  settler.settle(
    { id: 1n, token: "00000000-0000-0000-0000-000000000001", handsOff: false },
    { state: "completed", resultJson: null },
    (settlement) => settled.push(settlement),
  );
  slots.demand = 2;
  slots.free.emit();
  await vi.advanceTimersByTimeAsync(0);
  expect(asked.map(({ name }) => name)).toEqual(["claim-plain-jobs", "settle-and-claim-jobs"]);
  await vi.advanceTimersByTimeAsync(50);
  expect(settled).toEqual([{ state: "completed", resultJson: null }]);
  await stop();
});

test("jobs of running keys are parked, and it looks again at once, because they may have hidden others", async () => {
  const answers: Row[][] = [[{ kind: "not plain" }], [{ kind: "blocked", key: "k" }], [row(1, { key: "l" })]];
  const { claimer, asked, parked, running, submitted, stop } = makeClaimer(() => answers.shift() ?? []);
  running.push("k");
  claimer.start();
  await vi.advanceTimersByTimeAsync(0);
  expect(asked.map(({ name }) => name)).toEqual(["claim-plain-jobs", "claim-contended-jobs", "claim-hindered-jobs"]);
  expect([parked, submitted]).toEqual([["k"], [1n]]);
  await stop();
});

test("jobs whose key is about to be released are not parked, and it looks again after some ms", async () => {
  const { claimer, asked, stop } = makeClaimer(() =>
    asked.length === 1 ? [{ kind: "blocked", key: "k" }] : [row(1, { key: "k" })],
  );
  claimer.start();
  await vi.advanceTimersByTimeAsync(3);
  expect(asked).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(3);
  expect(asked).toHaveLength(2);
  await stop();
});

test("jobs of running keys stay ready if a claim got half of what it asked for", async () => {
  const answers: Row[][] = [[{ kind: "not plain" }], [row(1, { key: "l" }), { kind: "blocked", key: "k" }]];
  const { claimer, asked, parked, idle, stop } = makeClaimer(() => answers.shift() ?? []);
  claimer.start();
  await vi.advanceTimersByTimeAsync(0);
  expect(asked.map(({ name }) => name)).toEqual(["claim-plain-jobs", "claim-contended-jobs"]);
  expect([parked, idle.found]).toEqual([[], [1]]);
  await stop();
});

test("a claim that saw only the head of the queue is followed by another, and has what blocked it parked", async () => {
  const answers: Row[][] = [
    [{ kind: "not plain" }],
    [{ kind: "blocked", key: "k" }],
    [row(1, { key: "l" }), { kind: "blocked", key: "m" }, { kind: "more" }],
    [{ kind: "more" }],
  ];
  const { claimer, asked, parked, running, idle, stop } = makeClaimer(() => answers.shift() ?? []);
  running.push("k");
  claimer.start();
  await vi.advanceTimersByTimeAsync(0);
  const hindered = "claim-hindered-jobs";
  expect(parked).toEqual(["k", "m"]);
  expect(asked.map(({ name }) => name).slice(0, 3)).toEqual(["claim-plain-jobs", "claim-contended-jobs", hindered]);
  await vi.advanceTimersByTimeAsync(10); // "m" was about to come free
  expect(asked.map(({ name }) => name).slice(3)).toEqual([hindered, "claim-jobs"]);
  expect(idle.found).toEqual([0]);
  await stop();
});

test("claims step over keys that others take, unless the last claim has just told that no other worker lives", async () => {
  let others: Row[] = [];
  let isTaken = false;
  const { claimer, asked, slots, pending, stop } = makeClaimer(({ name }) => {
    if (name === "claim-plain-jobs") return [{ kind: "not plain" }];
    return isTaken && name === "claim-jobs" ? keyTaken() : [row(asked.length, { key: "k" }), ...others];
  });
  let unanswered = 0;
  pending.unanswered.on(() => (unanswered += 1));
  const namesOfNext = async () => {
    asked.length = 0;
    slots.demand = 2;
    slots.free.emit();
    await vi.advanceTimersByTimeAsync(0);
    return asked.map(({ name }) => name);
  };
  slots.demand = 0;
  claimer.start();
  await vi.advanceTimersByTimeAsync(0);

  expect(await namesOfNext()).toEqual(["claim-plain-jobs", "claim-contended-jobs"]);
  expect(await namesOfNext()).toEqual(["claim-jobs"]);
  others = [{ kind: "others" }];
  expect(await namesOfNext()).toEqual(["claim-jobs"]);
  expect(await namesOfNext()).toEqual(["claim-contended-jobs"]);
  others = [];
  expect(await namesOfNext()).toEqual(["claim-contended-jobs"]);
  isTaken = true; // a worker that came since
  expect(await namesOfNext()).toEqual(["claim-jobs", "claim-contended-jobs"]);
  expect(await namesOfNext()).toEqual(["claim-contended-jobs"]);
  expect([unanswered, claimer.failures]).toEqual([0, 0]);
  await stop();
});

test("a claim that another constraint rejects is not sent again as contended", async () => {
  const { claimer, asked, stop } = makeClaimer(() => Object.assign(keyTaken(), { constraint: "running_jobs_other" }));
  claimer.start();
  await vi.advanceTimersByTimeAsync(0);
  expect(asked.map(({ name }) => name)).toEqual(["claim-plain-jobs"]);
  expect(claimer.failures).toBe(1);
  await stop();
});

test("outcomes that a claim carries are written though the claim meets another at a key", async () => {
  let next = 0;
  const { claimer, asked, slots, settler, stop } = makeClaimer(({ name, limit }) =>
    name === "settle-and-claim-jobs" ? keyTaken() : Array.from({ length: limit }, () => row((next += 1), { key: "k" })),
  );
  const settled: Settlement[] = [];
  claimer.start();
  await vi.advanceTimersByTimeAsync(0);
  settler.settle(
    { id: 1n, token: "00000000-0000-0000-0000-000000000001", handsOff: false },
    { state: "completed", resultJson: null },
    (settlement) => settled.push(settlement),
  );
  slots.demand = 2;
  slots.free.emit();
  await vi.advanceTimersByTimeAsync(50);
  expect(asked.map(({ name }) => name)).toContain("claim-contended-jobs");
  expect(settled).toEqual([{ state: "completed", resultJson: null }]);
  await stop();
});

test("while the head of its queue is crowded, it claims by types until nothing is left", async () => {
  const rows = [[row(1)], []];
  const { claimer, asked, submitted, idle, head, slots, stop } = makeClaimer(({ name }) =>
    name === "urgency-by-type" ? [] : (rows.shift() ?? []),
  );
  Object.assign(head, { is_full: true, foreign_share: 1 });
  slots.demand = 5;
  claimer.start();
  await vi.advanceTimersByTimeAsync(0);
  // A claim by types may find fewer jobs than are ready, so one that found some is followed by
  // another.
  expect(asked.map(({ name }) => name)).toEqual([
    "claim-plain-jobs-by-type",
    "claim-plain-jobs-by-type",
    "urgency-by-type",
  ]);
  expect([submitted, idle.found]).toEqual([[1n], [1]]);
  await stop();
});
