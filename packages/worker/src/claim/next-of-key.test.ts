import type { Database, Outcome } from "@hark/core";
import { expect, test } from "vitest";
import type { Unsettled } from "../settle/unsettled.ts";
import { type NextJobs, NextOfKey } from "./next-of-key.ts";
import { PendingClaims } from "./pending-claims.ts";

type Row = Record<string, unknown>;

const success: Outcome = { state: "completed", resultJson: null };
const uuid = "00000000-0000-0000-0000-000000000001";
const entry = (changes: Partial<Unsettled> = {}, handsOff = true): Unsettled => ({
  claim: { id: 1n, token: uuid, handsOff },
  outcome: success,
  done: () => {},
  isDoubtful: false,
  isLeftBehind: false,
  isLocked: false,
  refusals: 0,
  refusedAt: undefined,
  ...changes,
});

const settled = { kind: "settled", id: "1" };
const next: Row = {
  kind: "job", id: "2", queue: "q", type: "test.run", payload: null, priority: 0, attempt: 1, max_attempts: 3,
  crash_count: 0, key: "k", hands_off: true,
}; // prettier-ignore

/**
 * A started NextOfKey on a database where `answer` returns the rows or the error of a statement.
 */
function makeNext(answer: (asked: { name: string; values: unknown[] }) => Row[] | Error | Promise<Row[]>) {
  const lease: { identity: string | undefined } = { identity: "worker" };
  const pending = new PendingClaims();
  const nextOfKey = new NextOfKey({ lease, pending, types: ["test.run"] });
  const claimed: NextJobs[] = [];
  nextOfKey.claimed.on((jobs) => claimed.push(jobs));
  let unanswered = 0;
  pending.unanswered.on(() => (unanswered += 1));
  const asked: { name: string; values: unknown[] }[] = [];
  const query = async (statement: { name: string; values: unknown[] }) => {
    asked.push(statement);
    const answered = await answer(statement);
    if (answered instanceof Error) throw answered;
    return { rows: answered };
  };
  nextOfKey.start();
  return {
    nextOfKey,
    lease,
    pending,
    claimed,
    asked,
    db: { query } as never as Database,
    unanswered: () => unanswered,
  };
}

test("it takes successes whose key others wait for, while it is started and there is a lease", async () => {
  const { nextOfKey, lease } = makeNext(() => []);
  expect(nextOfKey.takes(entry())).toBe(true);
  expect(nextOfKey.takes(entry({}, false))).toBe(false);
  expect(nextOfKey.takes(entry({ isDoubtful: true }))).toBe(false);
  const failure: Outcome = { state: "scheduled", ending: "error", attempt: 1, error: "no", delayMs: 1 };
  expect(nextOfKey.takes(entry({ outcome: failure }))).toBe(false);
  lease.identity = undefined;
  expect(nextOfKey.takes(entry())).toBe(false);
  lease.identity = "worker";
  await nextOfKey.stop();
  expect(nextOfKey.takes(entry())).toBe(false);
});

test("it claims under its lease and a token of its own, which is pending until the jobs are in hand", async () => {
  const answers = Promise.withResolvers<Row[]>();
  const { nextOfKey, pending, claimed, asked, db } = makeNext(() => answers.promise);
  const done = nextOfKey.complete(db, [entry()]);
  const token = asked[0]!.values[4] as string;
  expect(asked[0]!.name).toBe("complete-and-claim-next");
  expect(asked[0]!.values.toSpliced(4, 1)).toEqual(["{1}", `{${uuid}}`, null, "worker", ["test.run"]]);
  let wasPending = false;
  nextOfKey.claimed.on(() => (wasPending = pending.has(token)));

  answers.resolve([settled, next]);

  expect(await done).toEqual([{ id: 1n }]);
  expect(claimed).toMatchObject([{ mayStart: true, jobs: [{ id: 2n, queue: "q", key: "k", handsOff: true, token }] }]);
  expect([wasPending, pending.has(token)]).toEqual([true, false]);
});

test("jobs whose claim is answered after the stop, or under another lease, may not start", async () => {
  for (const intervene of ["stop", "lease"] as const) {
    const answers = Promise.withResolvers<Row[]>();
    const { nextOfKey, lease, claimed, db } = makeNext(() => answers.promise);
    const done = nextOfKey.complete(db, [entry()]);
    if (intervene === "stop") await nextOfKey.stop();
    else lease.identity = "other";
    answers.resolve([settled, next]);
    await done;
    expect(claimed, intervene).toMatchObject([{ mayStart: false, jobs: [{ id: 2n }] }]);
  }
});

test("a statement without an answer is reported to the rescuer, and a rejected one is not", async () => {
  const failures = [
    new Error("Connection terminated unexpectedly"),
    Object.assign(new Error("no"), { severity: "ERROR", code: "22000" }),
  ];
  const { nextOfKey, pending, asked, db, unanswered } = makeNext(() => failures.shift()!);
  await expect(nextOfKey.complete(db, [entry()])).rejects.toThrow("terminated");
  expect(unanswered()).toBe(1);
  await expect(nextOfKey.complete(db, [entry()])).rejects.toThrow("no");
  expect(unanswered()).toBe(1);
  for (const { values } of asked) expect(pending.has(values[4] as string)).toBe(false);
});

test("if the lease is lost before it asks, it only settles", async () => {
  const { nextOfKey, lease, asked, claimed, db } = makeNext(() => [{ id: "1" }]);
  lease.identity = undefined;
  expect(await nextOfKey.complete(db, [entry()])).toEqual([{ id: 1n }]);
  expect(asked.map(({ name }) => name)).toEqual(["complete-jobs"]);
  expect(claimed).toEqual([]);
});
