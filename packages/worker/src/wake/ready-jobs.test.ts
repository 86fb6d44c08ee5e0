import type { Database } from "@hark/core";
import { expect, test } from "vitest";
import { ReadyJobs } from "./ready-jobs.ts";

/** Questions to a database that answers when the test says so. */
function makeReadyJobs() {
  const asked: { queues: string[]; answer: (ready: string[]) => void; fail: (error: Error) => void }[] = [];
  const query = ({ values }: { values: unknown[] }) => {
    const { promise, resolve, reject } = Promise.withResolvers<{ rows: unknown[] }>();
    asked.push({
      queues: values[0] as string[],
      answer: (ready) => resolve({ rows: [{ ready, next_due_in_ms: null }] }),
      fail: reject,
    });
    return promise;
  };
  return { jobs: new ReadyJobs({ db: { query } as unknown as Database, types: [] }), asked };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("questions of one turn are asked together, and each gets the answer of its queue", async () => {
  const { jobs, asked } = makeReadyJobs();
  const answers = ["a", "b", "a", "c"].map((queue) => jobs.areIn(queue));
  await turn();
  expect(asked.map(({ queues }) => queues)).toEqual([["a", "b", "c"]]);
  asked[0]!.answer(["a"]);
  expect(await Promise.all(answers)).toEqual([true, false, true, false]);
});

test("a question that comes while a statement is on its way is asked after it, because that may not see the job", async () => {
  const { jobs, asked } = makeReadyJobs();
  const first = jobs.areIn("a");
  await turn();
  const later = [jobs.areIn("a"), jobs.areIn("b")];
  await turn();
  expect(asked).toHaveLength(1);
  asked[0]!.answer([]);
  expect(await first).toBe(false);
  await turn();
  expect(asked.map(({ queues }) => queues)).toEqual([["a"], ["a", "b"]]);
  asked[1]!.answer(["a", "b"]);
  expect(await Promise.all(later)).toEqual([true, true]);
});

test("a statement that fails fails its questions, and the next question is asked", async () => {
  const { jobs, asked } = makeReadyJobs();
  const failing = [jobs.areIn("a"), jobs.areIn("b")].map((answer) => expect(answer).rejects.toThrow("no answer"));
  await turn();
  asked[0]!.fail(new Error("no answer"));
  await Promise.all(failing);
  const next = jobs.areIn("a");
  await turn();
  asked[1]!.answer(["a"]);
  expect(await next).toBe(true);
});
