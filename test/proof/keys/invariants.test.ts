import { describe, expect, test } from "vitest";
import { Story, token } from "../campaigns/checker/story.ts";
import { Study } from "../campaigns/checker/study.ts";
import { keyInvariants } from "./invariants.ts";
import { outOfOrder } from "./order.ts";

const brokenIn = (story: Story) => {
  const study = new Study(story.history);
  return keyInvariants.filter(({ breaches }) => breaches(study).length > 0).map(({ id }) => id);
};

/**
 * Jobs 2 and 3 of the key "book" overlap: job 2 ends while job 3 runs, and both are run by process
 * 2.
 */
function overlapping(): Story {
  const story = new Story();
  story.forget("ended", "2");
  story.ended("2", 1, 1_700, 2, "returned");
  return story;
}

const stop = (story: Story, from: number, to: number) =>
  story.say(from, 0, { event: "fault", kind: "stop", target: "worker-2", from, to, proof: "" });

/**
 * Four jobs of a key. One runs from 14,000 to 15,000 while the others wait since 13,000; then
 * another runs. The last one waits on.
 */
function inLine({ priorities = [0, 0, 0], next = "b" }: { priorities?: number[]; next?: string } = {}): Story {
  const story = new Story();
  const enqueue = (id: string, at: number, priority = 0) =>
    story.wish(id, at, { does: "sleep", key: "line", priority });
  const run = (id: string, from: number, to: number) => {
    story.started(id, 1, from + 5, 2);
    story.ended(id, 1, to - 5, 2, "returned");
    story.job(id, "completed", { startedAt: from, finishedAt: to, token: token(id, 1), worker: "w2" });
  };
  const ids: Record<string, string> = { a: "50", b: "51", c: "52", d: "53" };
  enqueue(ids["a"]!, 12_900);
  for (const [place, name] of ["b", "c", "d"].entries()) enqueue(ids[name]!, 13_000, priorities[place]);
  run(ids["a"]!, 14_000, 15_000);
  const order = [next, ...["b", "c", "d"].filter((name) => name !== next)];
  for (const [place, name] of order.entries()) run(ids[name]!, 15_010 + place * 100, 15_100 + place * 100);
  return story;
}

test("a correct history breaks nothing", () => {
  expect(brokenIn(new Story())).toEqual([]);
  expect(brokenIn(inLine())).toEqual([]);
});

describe("K1: two runs of a key that overlap", () => {
  test("break it without a reason", () => {
    expect(brokenIn(overlapping())).toEqual(["K1"]);
  });

  test("break it if the database alone says that the first had lost its claim", () => {
    const story = overlapping();
    story.attempt("2", 1, "crashed", 1_215, 1_500, 2);
    expect(brokenIn(story)).toEqual(["K1"]);
  });

  test("break it if a process stood still for less than a lease", () => {
    const story = overlapping();
    stop(story, 1_000, 2_500); // of 3,000, and 620 before job 3 began
    expect(brokenIn(story)).toEqual(["K1"]);
  });

  test("break it if a process stood still long before", () => {
    const story = overlapping();
    stop(story, -9_000, -1_000);
    expect(brokenIn(story)).toEqual(["K1"]);
  });

  test("are right if the process of one stood still for a lease", () => {
    const story = overlapping();
    stop(story, -2_000, 1_500);
    expect(brokenIn(story)).toEqual([]);
  });

  test("are right if a cancel was asked for before, and wrong if it was after", () => {
    const before = overlapping();
    before.say(1_600, 9, { event: "cancel asked", id: "2" });
    expect(brokenIn(before)).toEqual([]);
    const after = overlapping();
    after.say(1_630, 9, { event: "cancel asked", id: "2" });
    expect(brokenIn(after)).toEqual(["K1"]);
  });

  test("are none if the first one's process was dead", () => {
    const story = overlapping();
    story.forget("ended", "2");
    story.say(1_610, 2, { event: "exited", name: "worker-2", code: "SIGKILL", by: "kill" });
    expect(brokenIn(story)).toEqual([]);
  });

  test("are right just after a job completed in its handler's own transaction, and wrong long after", () => {
    const story = overlapping();
    for (const entry of story.entries) if (entry.event === "started" && entry.id === "2") entry.does = "effect";
    expect(brokenIn(story)).toEqual([]);
    story.forget("ended", "2");
    story.ended("2", 1, 9_000, 2, "returned");
    expect(brokenIn(story)).toEqual(["K1"]);
  });
});

describe("K2: the order within a key", () => {
  test("is broken if an older job of the same priority waits", () => {
    expect(brokenIn(inLine({ next: "c" }))).toEqual(["K2"]);
  });

  test("is broken if a job of a higher priority waits, though it is younger", () => {
    expect(brokenIn(inLine({ next: "b", priorities: [0, 5, 0] }))).toEqual(["K2"]);
  });

  test("is kept if the higher priority runs first, though it is younger", () => {
    const story = inLine({ next: "d", priorities: [0, 0, 5] });
    expect(brokenIn(story)).toEqual([]);
    expect(outOfOrder(new Study(story.history)).judged).toBeGreaterThan(0);
  });

  test("is not judged against a job that was acknowledged only when the key came free", () => {
    const story = inLine({ next: "c" });
    for (const entry of story.entries) if (entry.event === "enqueued" && entry.id === "51") entry.at = 14_900;
    expect(brokenIn(story)).toEqual([]);
  });

  test("is not judged against a job with a delay", () => {
    const story = inLine({ next: "c" });
    story.wishOf("51").delayMs = 10;
    expect(brokenIn(story)).toEqual([]);
  });
});

describe("K3: a key without a holder", () => {
  test("is left standing if it is seen so for longer than a look takes", () => {
    const story = new Story();
    story.say(12_000, 0, { event: "standing", key: "book", forMs: 1_010 });
    expect(brokenIn(story)).toEqual([]);
    story.say(15_000, 0, { event: "standing", key: "book", forMs: 4_020 });
    expect(brokenIn(story)).toEqual(["K3"]);
  });
});
