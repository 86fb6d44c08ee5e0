import { expect, test } from "vitest";
import type { FaultKind, Wish } from "../ledger/entries.ts";
import { figuresOf, lineOf } from "../report/figures.ts";
import { broken, Story, token } from "./story.ts";

/* A crash that undid a claim excuses what it should, and nothing more. */

/** When the server crashed, was gone, and was back. */
const crash = { from: 14_000, goneAt: 14_010, to: 14_600 };

interface Undone {
  /** Start of the run that the database does not know. */
  at?: number;
  /** When its handler was aborted. Null: never. */
  toldAt?: number | null;
  endedAt?: number | null;
  wish?: Partial<Wish>;
}

/**
 * Job 60 starts in worker-2 under a claim that a crash undoes. It is aborted, and worker-1 runs it
 * again as the same attempt.
 */
function undone({ at = 13_990, toldAt = Math.max(at, crash.goneAt) + 20, endedAt = toldAt, wish = {} }: Undone = {}) {
  const story = new Story();
  const { from, to } = crash;
  story.say(from, 0, { event: "fault", kind: "crash", target: "server", ...crash, proof: "" });
  story.wish("60", 10_500, { does: "sleep", ms: 5_000, ...wish });
  runsUnknown(story, at, "lost");
  if (toldAt !== null) story.say(toldAt, 2, { event: "aborted", id: "60", token: "lost", reason: "LEASE_LOST" });
  if (endedAt !== null) story.say(endedAt, 2, { event: "ended", id: "60", token: "lost", how: "threw" });
  story.started("60", 1, to + 110, 3);
  story.ended("60", 1, to + 150, 3, "returned");
  const { maxAttempts } = story.wishOf("60");
  story.job("60", "completed", { startedAt: to + 100, finishedAt: to + 160, token: token("60", 1), maxAttempts });
  story.final.stats.completed += 1;
  return story;
}

function runsUnknown(story: Story, at: number, unknown: string, id = "60"): void {
  const { does, key } = story.wishOf(id);
  story.say(at, 2, { event: "started", id, ref: `r${id}`, token: unknown, attempt: 1, does, key });
}

const idsOf = (story: Story) => broken(story).map(({ id }) => id);

function happens(story: Story, kind: FaultKind, target: string, from: number, to: number): Story {
  story.say(from, 0, { event: "fault", kind, target, from, to, proof: "" });
  return story;
}

test("a run whose claim a crash undid breaks nothing, and the figures count it", () => {
  expect(broken(undone())).toEqual([]);
  const figures = figuresOf(undone().history);
  expect(figures.explained).toEqual({ ...figuresOf(new Story().history).explained, undone: 1 });
  expect(lineOf(figures)).toContain("undone 1");
});

test("claims of jobs with a key or a single attempt wait for the disk", () => {
  expect(idsOf(undone({ wish: { uniqueKey: "page" } }))).toEqual([]);
  expect(idsOf(undone({ wish: { key: "book" } }))).toContain("S8");
  expect(idsOf(undone({ wish: { maxAttempts: 1 } }))).toEqual(["S8"]);
});

test("a claim is undone with all its jobs, so none of them has a key and the database knows none", () => {
  const neighbour = (finishedAs: string, wish: Partial<Wish> = {}) => {
    const story = undone();
    story.wish("61", 13_980, { does: "sleep", ...wish });
    runsUnknown(story, 13_991, "lost", "61");
    story.say(13_999, 2, { event: "ended", id: "61", token: "lost", how: "returned" });
    if (finishedAs !== "lost") {
      story.started("61", 1, 14_710, 3);
      story.ended("61", 1, 14_720, 3, "returned");
    }
    story.job("61", "completed", { startedAt: 14_700, finishedAt: 14_730, token: finishedAs });
    story.final.stats.completed += 1;
    return idsOf(story);
  };
  expect(neighbour(token("61", 1))).toEqual([]);
  expect(neighbour(token("61", 1), { key: "page" })).toContain("S8");
  expect(neighbour("lost")).toEqual(["S8"]);
});

test("only a crash undoes a claim, not an orderly restart or a full disk", () => {
  for (const kind of ["restart", "disk full", "backends", "stall"] as const) {
    const story = undone();
    const fault = story.entries.find((entry) => entry.event === "fault")!;
    Object.assign(fault, { kind });
    delete (fault as { goneAt?: number }).goneAt;
    expect(idsOf(story)).toEqual(["S8"]);
  }
});

test("the crash must come before the claim is flushed: within three rests of PostgreSQL's writer, plus the machine's time", () => {
  expect(idsOf(undone({ at: 13_250 }))).toEqual([]);
  expect(idsOf(undone({ at: 13_249 }))).toEqual(["S8"]);
  const slow = (at: number) => {
    const story = undone({ at });
    story.say(13_500, 0, { event: "paced", ms: 200 });
    return idsOf(story);
  };
  expect(slow(13_050)).toEqual([]);
  expect(slow(13_049)).toEqual(["S8"]);
});

test("PostgreSQL's writer goes on when a worker stands still, but not when the machine does", () => {
  expect(idsOf(happens(undone({ at: 13_000 }), "stop", "worker-2", 13_005, 13_900))).toEqual(["S8"]);
  expect(idsOf(happens(undone({ at: 13_000 }), "hole", "worker-2", 13_005, 13_900))).toEqual(["S8"]);
  expect(idsOf(happens(undone({ at: 13_000 }), "stall", "server", 13_005, 13_900))).toEqual([]);
});

test("the run may begin while the server ends, and later by the time that a job claimed ahead waits for its slot", () => {
  expect(idsOf(undone({ at: 14_005 }))).toEqual([]);
  expect(idsOf(undone({ at: 14_112 }))).toEqual([]);
  expect(idsOf(undone({ at: 14_113 }))).toEqual(["S8"]);
});

test.for(["stop", "delay", "trickle"] as const)(
  "the run may begin later if the answer to its claim met a %s, but not if that came later or hit another worker",
  (kind) => {
    expect(idsOf(happens(undone({ at: 15_500 }), kind, "worker-2", 13_900, 15_490))).toEqual([]);
    expect(idsOf(happens(undone({ at: 17_000 }), kind, "worker-2", 13_900, 15_490))).toContain("S8");
    expect(idsOf(happens(undone({ at: 15_500 }), kind, "worker-2", 14_200, 15_490))).toContain("S8");
    expect(idsOf(happens(undone({ at: 15_500 }), kind, "worker-1", 13_900, 15_490))).toContain("S8");
  },
);

test("an answer lost on a silent connection never arrives", () => {
  expect(idsOf(happens(undone({ at: 15_500 }), "hole", "worker-2", 13_900, 15_490))).toContain("S8");
});

test("a claim is excused only if the job had no other owner, was due, and had not ended", () => {
  /** Another claim of it was handed back before it began. */
  const former = (finishedAt: number, retryAt?: number) => {
    const story = undone();
    story.attempt("60", 1, "interrupted", 13_910, finishedAt, 3, retryAt);
    story.rowOf("60", "interrupted").token = "former";
    return idsOf(story);
  };
  expect(former(13_992)).toEqual([]);
  expect(former(13_993)).toEqual(["S8"]);
  expect(former(13_920, 13_992)).toEqual([]);
  expect(former(13_920, 13_993)).toEqual(["S8"]);
  expect(idsOf(undone({ wish: { delayMs: 3_490 } }))).toEqual([]);
  expect(idsOf(undone({ wish: { delayMs: 3_491 } }))).toEqual(["S8"]);

  const ended = undone();
  runsUnknown(ended, 13_991, "late", "9");
  expect(idsOf(ended)).toEqual(["S8"]);
});

test("one crash undoes one claim of a job, with one start", () => {
  const twice = (unknown: string) => {
    const story = undone();
    runsUnknown(story, 13_995, unknown);
    story.say(14_030, 2, { event: "aborted", id: "60", token: unknown, reason: "LEASE_LOST" });
    return idsOf(story);
  };
  expect(twice("other")).toEqual(["S8"]);
  expect(twice("lost")).toEqual(["S5", "S8"]);
});

test("a second crash may undo a second claim", () => {
  const story = undone();
  const [from, goneAt, to] = [14_650, 14_655, 14_690];
  story.say(from, 0, { event: "fault", kind: "promote", target: "server", from, goneAt, to, proof: "" });
  runsUnknown(story, 14_645, "other");
  story.say(14_670, 2, { event: "aborted", id: "60", token: "other", reason: "LEASE_LOST" });
  expect(idsOf(story)).toEqual([]);
});

test("a handler that goes on must be aborted soon, unless it or its process ends or it blocks the event loop", () => {
  const untold = (more: Undone = {}) => undone({ toldAt: null, endedAt: null, ...more });
  const soon = crash.goneAt + 1_500;
  expect(idsOf(untold())).toEqual(["A1"]);
  expect(idsOf(untold({ toldAt: soon }))).toEqual([]);
  expect(idsOf(untold({ toldAt: soon + 1 }))).toEqual(["A1"]);
  expect(idsOf(untold({ endedAt: soon }))).toEqual([]);
  expect(idsOf(untold({ endedAt: soon + 1 }))).toEqual(["A1"]);
  expect(idsOf(untold({ wish: { does: "block" } }))).not.toContain("A1");

  const killed = untold();
  killed.say(soon, 2, { event: "exited", name: "worker-2", code: "SIGKILL", by: "kill" });
  expect(idsOf(killed)).not.toContain("A1");
});

test("a process that stands still, or whose connection is silent, may learn of it later", () => {
  const told = (toldAt: number, kind: FaultKind, from: number, to: number) =>
    idsOf(happens(undone({ toldAt }), kind, "worker-2", from, to));
  expect(told(18_500, "stop", 13_995, 17_000)).toEqual([]);
  expect(told(18_501, "stop", 13_995, 17_000)).toEqual(["A1"]);
  expect(told(18_500, "hole", 13_995, 16_000)).toEqual([]); // given up after 1 s in these histories
  expect(told(18_501, "hole", 13_995, 16_000)).toEqual(["A1"]);
  expect(told(18_500, "cut", 13_995, 16_000)).toEqual(["A1"]);
});

test("an undone claim does not count as an attempt, whatever its handler did", () => {
  const counted = undone();
  counted.jobOf("60").attempt = 2;
  counted.attempt("60", 2, "completed", 14_700, 14_760, 3);
  expect(idsOf(counted)).toContain("S9");
});

test("a handler of an undone claim may return, but its job must run again", () => {
  const returned = () => {
    const story = undone({ toldAt: null, endedAt: 13_998 });
    Object.assign(
      story.entries.find((entry) => entry.event === "ended" && entry.token === "lost")!,
      {
        how: "returned",
      },
    );
    return story;
  };
  expect(idsOf(returned())).toEqual([]);

  const left = returned();
  left.entries.splice(
    0,
    left.entries.length,
    ...left.entries.filter((entry) => !("token" in entry && entry.token === token("60", 1))),
  );
  Object.assign(left.jobOf("60"), { table: "jobs", state: "ready", attempt: 0, startedAt: null, finishedAt: null });
  left.final.stats.completed -= 1;
  expect(idsOf(left)).toEqual(["L1"]);
});

test("a probe whose claim was undone must start again as soon as any after a crash", () => {
  const verdict = (startedAt: number) => {
    const story = new Story();
    story.say(crash.from, 0, { event: "fault", kind: "crash", target: "server", ...crash, proof: "" });
    story.probe("110", 13_980, startedAt, "worker-2");
    story.say(13_990, 2, { event: "started", id: "110", ref: "r110", token: "lost", attempt: 1, does: "probe" });
    story.say(13_991, 2, { event: "ended", id: "110", token: "lost", how: "returned" });
    return idsOf(story);
  };
  expect(verdict(15_600)).toEqual([]);
  expect(verdict(15_601)).toEqual(["L3"]);
});
