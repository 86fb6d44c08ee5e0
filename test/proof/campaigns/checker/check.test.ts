import { describe, expect, test } from "vitest";
import { invariants } from "./check.ts";
import { broken, Story, token } from "./story.ts";

test("a correct history breaks nothing", () => {
  expect(broken(new Story())).toEqual([]);
});

/** One bad ledger or database for each way to break an invariant. */
const bad: [id: string, what: string, spoil: (story: Story) => void][] = [
  ["S1", "an acknowledged job is in no table", ({ final }) => void final.jobs.splice(0, 1)],
  ["S1", "a retry lost the key", (story) => (story.jobOf("2").key = null)],
  ["S1", "the attempts are not those asked for", (story) => (story.jobOf("1").maxAttempts = 3)],
  ["S2", "a job that was never asked for", (story) => (story.jobOf("1").ref = "r77")],
  ["S2", "one wish became two jobs", (story) => (story.jobOf("9").ref = "r1")],
  ["S2", "a job of a transaction that was rolled back", (story) => (story.jobOf("1").ref = "r0")],
  [
    "S3",
    "a job in two tables",
    (story) => story.final.jobs.push({ ...story.jobOf("1"), table: "jobs", state: "ready" }),
  ],
  ["S3", "a job that completed twice", (story) => story.attempt("5", 3, "completed", 9_300, 9_310, 2)],
  ["S4", "two claims hold at once", (story) => (story.rowOf("4", "crashed").finishedAt = 8_195)],
  ["S4", "a worker declared dead too early", ({ final }) => (final.workers[0]!.expiresAt = 9_000)],
  ["S5", "a job starts twice under one token", (story) => story.started("1", 1, 1_030, 2)],
  ["S5", "two claims with one token", (story) => (story.rowOf("4", "completed").token = token("4", 1))],
  [
    "S5f",
    "one fence given twice",
    (story) => story.say(3_500, 9, { event: "granted", key: "shelf", fence: "9", askedAt: 3_490 }),
  ],
  [
    "S5f",
    "a lower fence given later",
    (story) => story.say(3_500, 9, { event: "granted", key: "shelf", fence: "8", askedAt: 3_490 }),
  ],
  [
    "S5f",
    "a fence of the old timeline given after a promotion, though its number is higher",
    (story) => {
      story.say(3_100, 0, { event: "fault", kind: "promote", target: "server", from: 3_100, to: 3_200, proof: "" });
      story.say(3_500, 9, { event: "granted", key: "shelf", fence: "11", askedAt: 3_490 });
    },
  ],
  ["S6", "completed under a token that is not its last claim's", (story) => (story.jobOf("4").token = token("4", 1))],
  [
    "S6",
    "completed, though its handler threw",
    (story) => {
      story.forget("ended", "1");
      story.ended("1", 1, 1_100, 2, "threw");
    },
  ],
  ["S6", "completed, though it always fails", (story) => (story.wishOf("1").does = "fatal")],
  ["S6", "dead without a reason", (story) => (story.jobOf("6").reason = "attempts_exhausted")],
  ["S7", "a second run without a reason", (story) => (story.rowOf("5", "error").ending = "interrupted")],
  ["S7", "an error that no handler threw", (story) => story.forget("ended", "5")],
  ["S7", "a job rescued from a worker that is not dead", ({ final }) => (final.workers[0]!.deadAt = null)],
  [
    "S7",
    "cancelled without a request",
    (story) => {
      story.attempt("9", 1, "cancelled", 13_015, 13_110, 2);
      story.jobOf("9").state = "cancelled";
    },
  ],
  ["S7", "a worker declared dead without a fault", ({ final }) => (final.workers[1]!.deadAt = 30_001)],
  [
    "S8",
    "a start under an unknown claim",
    (story) => story.say(1_050, 2, { event: "started", id: "1", ref: "r1", token: "?", attempt: 1, does: "sleep" }),
  ],
  [
    "S8",
    "a start long after the claim was lost",
    (story) => {
      story.forget("started", "1");
      story.started("1", 1, 3_000, 2);
    },
  ],
  [
    "S9",
    "an attempt that was given back but is counted",
    (story) => {
      const crashed = story.rowOf("4", "crashed");
      crashed.ending = "interrupted";
      story.jobOf("4").crashCount = 0;
    },
  ],
  ["S9", "an attempt too many", (story) => (story.jobOf("4").maxAttempts = 1)],
  ["S9", "crashes that are not counted", (story) => (story.jobOf("4").crashCount = 0)],
  [
    "S9",
    "a poison job that crashed four workers",
    (story) => {
      for (const attempt of [3, 4, 5]) story.attempt("4", attempt, "crashed", 8_400 + attempt, 8_401 + attempt, 1);
    },
  ],
  ["S10", "a delayed job starts early", (story) => (story.wishOf("1").delayMs = 100)],
  ["S10", "a retry comes early", (story) => (story.rowOf("5", "error").retryAt = 9_260)],
  ["S10", "a retry waits too long", (story) => (story.rowOf("5", "error").finishedAt = 9_005)],
  [
    "S12k",
    "two jobs of one key at once",
    (story) => {
      story.forget("ended", "2");
      story.ended("2", 1, 1_700, 2, "returned");
    },
  ],
  ["S12u", "two unfinished jobs of one unique key", (story) => (story.jobOf("3").finishedAt = 14_000)],
  [
    "S12u",
    "a finished job still holds its unique key",
    (story) => story.say(13_005, 9, { event: "enqueued", ref: "r9", id: "3", status: "duplicate" }),
  ],
  ["S13", "a job completed without its row", ({ final }) => void final.effects.pop()],
  ["S13", "a job's row is there twice", ({ final }) => final.effects.push({ id: "8", token: "t" })],
  ["S14", "a former holder wrote", ({ final }) => final.shelf.push({ key: "shelf", fence: "7" })],
  ["S15", "a row without its job", ({ final }) => final.orders.push("r0")],
  ["S15", "a job without its row", ({ final }) => void final.orders.pop()],
  [
    "A1",
    "a handler that was never aborted",
    (story) => {
      // Its worker was cut off for the length of its lease, and goes on.
      story.entries.splice(
        story.entries.findIndex(({ event }) => event === "exited"),
        1,
      );
      story.say(4_600, 0, { event: "fault", kind: "hole", target: "worker-1", from: 4_600, to: 8_000, proof: "" });
    },
  ],
  [
    "L1",
    "a job that is still parked",
    (story) => {
      const job = story.jobOf("3");
      Object.assign(job, { table: "jobs", state: "parked", finishedAt: null, startedAt: null, token: null });
    },
  ],
  ["L1", "a job that ended too late", (story) => (story.jobOf("9").finishedAt = 31_000)],
  ["L2", "a probe that waits although no other job runs", (story) => story.probe("103", 22_000, 22_200, "worker-2")],
  ["L3", "a probe that waits for the poll", (story) => story.probe("104", 14_000, 14_900, "worker-2")],
  ["L3", "a worker that does not come back", (story) => story.probe("105", 5_400, 7_600, "worker-1")],
  [
    "L3",
    "a probe that never starts",
    (story) => story.say(15_000, 0, { event: "probed", id: "106", worker: "worker-1", dueAt: 15_000 }),
  ],
  [
    "L5",
    "jobs rescued late",
    ({ final }) => {
      Object.assign(
        final.attempts.find(({ ending }) => ending === "crashed")!,
        { finishedAt: 9_600 },
      );
    },
  ],
  ["L8", "counters that disagree", ({ final }) => (final.stats.completed += 1)],
  ["L9", "a deadlock", ({ final }) => final.serverErrors.push("ERROR:  deadlock detected")],
  ["L9", "a stuck session", ({ final }) => final.stuckSessions.push("hark worker (idle in transaction)")],
  [
    "P1",
    "a process that ends by itself",
    (story) => story.say(7_000, 2, { event: "exited", name: "worker-2", code: 1, by: undefined }),
  ],
  [
    "P1",
    "a stop that ends with an error",
    (story) => story.say(24_000, 2, { event: "exited", name: "worker-2", code: 1, by: "SIGTERM" }),
  ],
];

describe("is broken by", () => {
  test.for(bad)("%s: %s", ([id, , spoil]) => {
    const story = new Story();
    spoil(story);
    expect(broken(story).map((verdict) => verdict.id)).toContain(id);
  });
});

test("there is a bad history for every invariant", () => {
  expect([...new Set(bad.map(([id]) => id))].toSorted()).toEqual(invariants.map(({ id }) => id).toSorted());
});
