import { describe, expect, test } from "vitest";
import type { Entry, Event, Wish } from "../ledger/entries.ts";
import type { FinalAttempt, FinalJob, FinalState, FinalWorker } from "../ledger/final-state.ts";
import { check, invariants } from "./check.ts";
import type { Disturbance, History, Promises } from "./study.ts";

/** A campaign in short: two workers, some jobs, one of them killed at 5,000 and back at 6,000; calm at 20,000. */
class Story {
  readonly entries: Entry[] = [];
  readonly final: FinalState = {
    jobs: [],
    attempts: [],
    workers: [],
    orders: [],
    effects: [],
    shelf: [],
    stats: { completed: 0, cancelled: 0, dead: 0 },
    stuckSessions: [],
    serverErrors: [],
  };

  constructor() {
    this.say(0, 1, { event: "spawned", name: "worker-1" });
    this.say(0, 2, { event: "spawned", name: "worker-2" });
    this.say(500, 1, { event: "ready", name: "worker-1" });
    this.say(500, 2, { event: "ready", name: "worker-2" });
    this.worker(1, { deadAt: 8_100, expiresAt: 8_000 });
    this.worker(2);
    this.say(5_000, 1, { event: "exited", name: "worker-1", code: "SIGKILL", by: "kill" });
    this.say(5_500, 3, { event: "spawned", name: "worker-1" });
    this.say(6_000, 3, { event: "ready", name: "worker-1" });
    this.worker(3);

    this.completed("1", 1_000, { does: "sleep" });
    this.completed("2", 1_200, { does: "sleep", key: "book" });
    this.completed("3", 1_600, { does: "sleep", key: "book", uniqueKey: "isbn" });

    // Killed with its worker, taken back, done by the other.
    this.wish("4", 4_000, { does: "sleep" });
    this.started("4", 1, 4_500, 1);
    this.attempt("4", 1, "crashed", 4_490, 8_110, 1);
    this.started("4", 2, 8_200, 2);
    this.ended("4", 2, 8_300, 2, "returned");
    this.attempt("4", 2, "completed", 8_190, 8_310, 2);
    this.job("4", "completed", {
      attempt: 2,
      crashCount: 1,
      startedAt: 8_190,
      finishedAt: 8_310,
      token: token("4", 2),
    });

    // Fails once.
    this.wish("5", 9_000, { does: "fail", times: 1 });
    this.started("5", 1, 9_010, 2);
    this.ended("5", 1, 9_020, 2, "threw");
    this.attempt("5", 1, "error", 9_005, 9_030, 2, 9_230);
    this.started("5", 2, 9_260, 2);
    this.ended("5", 2, 9_270, 2, "returned");
    this.attempt("5", 2, "completed", 9_250, 9_280, 2);
    this.job("5", "completed", { attempt: 2, startedAt: 9_250, finishedAt: 9_280, token: token("5", 2) });

    // Fatal, cancelled, effect, in a transaction, and the same unique key again.
    this.wish("6", 10_000, { does: "fatal" });
    this.started("6", 1, 10_010, 2);
    this.ended("6", 1, 10_020, 2, "threw");
    this.attempt("6", 1, "fatal", 10_005, 10_030, 2);
    this.job("6", "dead", { attempt: 1, startedAt: 10_005, finishedAt: 10_030, reason: "unrecoverable" });
    this.wish("7", 11_000, { does: "sleep", delayMs: 5_000 });
    this.say(11_100, 9, { event: "cancel asked", id: "7" });
    this.final.attempts.push({ ...row("7", 0, "cancelled", 11_110), startedAt: null, token: null, worker: null });
    this.job("7", "cancelled", { attempt: 0, finishedAt: 11_110 });
    this.completed("8", 12_000, { does: "effect", inTransaction: true });
    this.final.effects.push({ id: "8", token: token("8", 1) });
    this.final.orders.push("r8");
    this.say(12_500, 9, {
      event: "wished",
      ref: "r0",
      type: "chaos.work",
      does: "sleep",
      maxAttempts: 5,
      inTransaction: true,
    });
    this.say(12_510, 9, { event: "rolled back", ref: "r0" });
    this.completed("9", 13_000, { does: "sleep", uniqueKey: "isbn" });

    for (const [at, fence] of [
      [2_000, 7n],
      [3_000, 9n],
    ] as const) {
      this.say(at, 9, { event: "granted", key: "shelf", fence: String(fence), askedAt: at - 10 });
      this.final.shelf.push({ key: "shelf", fence: String(fence) });
    }
    this.final.stats = { completed: 7, cancelled: 1, dead: 1 };
    this.say(20_000, 0, { event: "calm" });
    this.say(21_000, 0, { event: "quiet" });
    this.probe("100", 4_000, 4_010, "worker-1");
    this.probe("101", 5_200, 6_500, "worker-1");
    this.probe("102", 21_100, 21_110, "worker-2");
    this.say(25_000, 0, { event: "over" });
  }

  say(at: number, pid: number, event: Event): void {
    this.entries.push({ ...event, at, pid });
  }

  wish(id: string, at: number, wish: Partial<Wish> & Pick<Wish, "does">): void {
    this.say(at, 9, { event: "wished", ref: `r${id}`, type: "chaos.work", maxAttempts: 5, ...wish });
    this.say(at + 5, 9, { event: "enqueued", ref: `r${id}`, id, status: "inserted" });
  }

  started(id: string, attempt: number, at: number, pid: number): void {
    const { does, key } = this.wishOf(id);
    this.say(at, pid, { event: "started", id, ref: `r${id}`, token: token(id, attempt), attempt, does, key });
  }

  ended(id: string, attempt: number, at: number, pid: number, how: "returned" | "threw"): void {
    this.say(at, pid, { event: "ended", id, token: token(id, attempt), how });
  }

  attempt(
    id: string,
    attempt: number,
    ending: string,
    startedAt: number,
    finishedAt: number,
    pid: number,
    retryAt?: number,
  ) {
    this.final.attempts.push({
      ...row(id, attempt, ending, finishedAt),
      startedAt,
      worker: `w${pid}`,
      retryAt: retryAt ?? null,
    });
  }

  job(id: string, state: string, more: Partial<FinalJob>): void {
    const wish = this.entries.find((entry) => entry.event === "wished" && entry.ref === `r${id}`);
    const { key, uniqueKey, at } = wish as Extract<Entry, { event: "wished" }>;
    this.final.jobs.push({
      id,
      state,
      table: state === "dead" ? "dead_jobs" : "finished_jobs",
      queue: "work",
      type: "chaos.work",
      ref: `r${id}`,
      key: key ?? null,
      uniqueKey: uniqueKey ?? null,
      attempt: 1,
      maxAttempts: 5,
      crashCount: 0,
      createdAt: at + 2,
      runAt: at + 2,
      startedAt: null,
      finishedAt: null,
      worker: null,
      token: null,
      reason: null,
      ...more,
    });
  }

  completed(id: string, at: number, wish: Partial<Wish> & Pick<Wish, "does">): void {
    this.wish(id, at, wish);
    this.started(id, 1, at + 20, 2);
    this.ended(id, 1, at + 100, 2, "returned");
    this.job(id, "completed", { startedAt: at + 15, finishedAt: at + 110, token: token(id, 1), worker: "w2" });
  }

  worker(pid: number, more: Partial<FinalWorker> = {}): void {
    this.final.workers.push({ id: `w${pid}`, pid, startedAt: 400, expiresAt: 30_000, deadAt: null, ...more });
  }

  probe(id: string, dueAt: number, startedAt: number, worker: string): void {
    this.say(dueAt, 0, { event: "probed", id, worker, dueAt });
    this.say(startedAt, 2, { event: "started", id, ref: `r${id}`, token: token(id, 1), attempt: 1, does: "probe" });
    this.say(dueAt, 0, { event: "wished", ref: `r${id}`, type: "chaos.probe", does: "probe", maxAttempts: 5 });
    this.say(startedAt, 2, { event: "ended", id, token: token(id, 1), how: "returned" });
    this.job(id, "completed", { type: "chaos.probe", startedAt, finishedAt: startedAt + 5, token: token(id, 1) });
    this.final.stats.completed += 1;
  }

  wishOf(id: string): Wish {
    return this.entries.find((entry) => entry.event === "wished" && entry.ref === `r${id}`) as unknown as Wish;
  }

  jobOf(id: string): FinalJob {
    return this.final.jobs.find((job) => job.id === id)!;
  }

  rowOf(id: string, ending: string): FinalAttempt {
    return this.final.attempts.find((attempt) => attempt.id === id && attempt.ending === ending)!;
  }

  forget(event: Event["event"], id: string): void {
    const place = this.entries.findIndex((entry) => entry.event === event && "id" in entry && entry.id === id);
    this.entries.splice(place, 1);
  }

  get history(): History {
    return { entries: this.entries.toSorted((one, other) => one.at - other.at), final: this.final, promises };
  }
}

const token = (id: string, attempt: number) => `t${id}-${attempt}`;
const row = (id: string, attempt: number, ending: string, finishedAt: number): FinalAttempt => ({
  id,
  attempt,
  ending,
  worker: null,
  token: token(id, attempt),
  startedAt: null,
  finishedAt,
  retryAt: null,
});

const promises: Promises = {
  leaseMs: 3_000,
  backoff: { baseMs: 200, factor: 2, capMs: 1_000, jitter: 0.1 },
  retryBudget: { free: 5, inMs: 250, stretchMs: 20_000 },
  crashBudget: 3,
  finalWithinMs: 10_000,
  slots: 8,
  rescueMs: 4_500,
  probeMs: 500,
  stragglers: { share: 0.01, byMs: 5_000 },
  quietMs: 100,
  recoveryMs: new Proxy({} as Record<Disturbance, number>, { get: () => 1_000 }),
  sessions: 3,
};

/** What a history breaks, by id. */
const broken = (story: Story) => check(story.history).filter(({ breaches }) => breaches.length > 0);

test("a history in which all is well breaks nothing", () => {
  expect(broken(new Story())).toEqual([]);
});

/** One bad ledger or database for every way in which an invariant can be broken. */
const bad: [id: string, what: string, spoil: (story: Story) => void][] = [
  ["S1", "an acknowledged job is nowhere", ({ final }) => void final.jobs.splice(0, 1)],
  ["S1", "a retry lost the key", (story) => (story.jobOf("2").key = null)],
  ["S1", "the attempts are not those asked for", (story) => (story.jobOf("1").maxAttempts = 3)],
  ["S2", "a job that nobody asked for", (story) => (story.jobOf("1").ref = "r77")],
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
    "a fence of the former timeline given after a promotion, though its number is higher",
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
  ["S7", "a second run that nothing explains", (story) => (story.rowOf("5", "error").ending = "interrupted")],
  ["S7", "an error that no handler threw", (story) => story.forget("ended", "5")],
  ["S7", "taken back from a worker that is not dead", ({ final }) => (final.workers[0]!.deadAt = null)],
  [
    "S7",
    "cancelled, and nobody asked for it",
    (story) => {
      story.attempt("9", 1, "cancelled", 13_015, 13_110, 2);
      story.jobOf("9").state = "cancelled";
    },
  ],
  ["S7", "a worker declared dead to which nothing was done", ({ final }) => (final.workers[1]!.deadAt = 30_001)],
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
    "an attempt that was given back, and is counted",
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
    "a poison that took four workers along",
    (story) => {
      for (const attempt of [3, 4, 5]) story.attempt("4", attempt, "crashed", 8_400 + attempt, 8_401 + attempt, 1);
    },
  ],
  ["S10", "a delayed job starts early", (story) => (story.wishOf("1").delayMs = 100)],
  ["S10", "a retry comes early", (story) => (story.rowOf("5", "error").retryAt = 9_260)],
  ["S10", "a retry waits too long", (story) => (story.rowOf("5", "error").finishedAt = 9_005)],
  [
    "S12k",
    "two of one key at once",
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
  ["S13", "a job completed without what it wrote", ({ final }) => void final.effects.pop()],
  ["S13", "what it wrote is there twice", ({ final }) => final.effects.push({ id: "8", token: "t" })],
  ["S14", "a former holder wrote", ({ final }) => final.shelf.push({ key: "shelf", fence: "7" })],
  ["S15", "a row without its job", ({ final }) => final.orders.push("r0")],
  ["S15", "a job without its row", ({ final }) => void final.orders.pop()],
  [
    "A1",
    "a handler that was never told",
    (story) => {
      // Its worker was cut off for as long as its lease, and lives on.
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
  ["L1", "a job that came to its end too late", (story) => (story.jobOf("9").finishedAt = 31_000)],
  ["L2", "a probe that waits when nothing else is to do", (story) => story.probe("103", 22_000, 22_200, "worker-2")],
  ["L3", "a probe that waits for the poll", (story) => story.probe("104", 14_000, 14_900, "worker-2")],
  ["L3", "a worker that does not come back", (story) => story.probe("105", 5_400, 7_600, "worker-1")],
  [
    "L3",
    "a probe that never starts",
    (story) => story.say(15_000, 0, { event: "probed", id: "106", worker: "worker-1", dueAt: 15_000 }),
  ],
  [
    "L5",
    "jobs taken back late",
    ({ final }) => {
      Object.assign(
        final.attempts.find(({ ending }) => ending === "crashed")!,
        { finishedAt: 9_600 },
      );
    },
  ],
  ["L8", "counters that disagree", ({ final }) => (final.stats.completed += 1)],
  ["L9", "a deadlock", ({ final }) => final.serverErrors.push("ERROR:  deadlock detected")],
  ["L9", "a session that waits for ever", ({ final }) => final.stuckSessions.push("hark worker (idle in transaction)")],
  [
    "P1",
    "a process that ends by itself",
    (story) => story.say(7_000, 2, { event: "exited", name: "worker-2", code: 1, by: undefined }),
  ],
  [
    "P1",
    "a stop that ends in an error",
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

test("a probe is not late while its worker is disturbed, nor is a lease that a fault cost", () => {
  const story = new Story();
  story.say(14_000, 0, { event: "fault", kind: "stop", target: "worker-2", from: 14_000, to: 18_000, proof: "" });
  story.probe("110", 14_100, 18_900, "worker-2");
  story.final.workers[1]!.deadAt = 17_100;
  story.final.workers[1]!.expiresAt = 17_000;
  expect(broken(story)).toEqual([]);
});

test("one probe of a hundred may be late, by no more than the longest rest of a loop", () => {
  const verdict = (probes: number, lateMs: number, late = 1) => {
    const story = new Story();
    for (let probe = 0; probe < probes; probe += 1) {
      const dueAt = 10_000 + probe * 20;
      story.probe(`${200 + probe}`, dueAt, dueAt + (probe < late ? lateMs : 10), "worker-2");
    }
    return broken(story).map(({ id }) => id);
  };
  expect(verdict(150, 900)).toEqual([]);
  expect(verdict(150, 5_600)).toEqual(["L3"]);
  expect(verdict(150, 900, 2)).toEqual(["L3"]);
  expect(verdict(50, 900)).toEqual(["L3"]);
});

test("what the machine takes for a session is added to what a worker may take, three times, and no more than that", () => {
  const late = (paceMs: number) => {
    const story = new Story();
    story.say(14_000, 0, { event: "paced", ms: paceMs });
    story.probe("110", 14_000, 14_900, "worker-2");
    return broken(story).map(({ id }) => id);
  };
  expect(late(140)).toEqual([]);
  expect(late(100)).toEqual(["L3"]);
});

test("a worker that runs a suspect alone starts nothing else, also if it has stopped since and left no registration", () => {
  const waits = (crashes: number) => {
    const story = new Story();
    story.wish("50", 3_000, { does: "sleep", ms: 2_000 });
    for (let attempt = 1; attempt <= crashes; attempt += 1)
      story.attempt("50", attempt, "crashed", 3_000 + attempt * 10, 3_005 + attempt * 10, 1);
    story.started("50", 3, 14_000, 2);
    story.ended("50", 3, 16_000, 2, "returned");
    story.attempt("50", 3, "completed", 13_990, 16_010, 2);
    story.rowOf("50", "completed").worker = "gone";
    story.job("50", "completed", { attempt: 3, crashCount: crashes, startedAt: 13_990, finishedAt: 16_010 });
    story.probe("110", 14_050, 16_050, "worker-2");
    return broken(story).map(({ id }) => id);
  };
  expect(waits(2)).not.toContain("L3");
  expect(waits(1)).toContain("L3");
});

test("a handler that returns after it was told to stop may have been given up on, one that had returned before may not", () => {
  const verdict = (toldAt: number) => {
    const story = new Story();
    story.say(toldAt, 2, { event: "aborted", id: "5", token: token("5", 1), reason: "LEASE_LOST" });
    story.rowOf("5", "error").ending = "interrupted";
    story.entries.find((entry) => entry.event === "ended" && entry.id === "5")!.at = 9_020;
    Object.assign(
      story.entries.find((entry) => entry.event === "ended" && entry.id === "5")!,
      { how: "returned" },
    );
    return broken(story).map(({ id }) => id);
  };
  expect(verdict(9_015)).not.toContain("S7");
  expect(verdict(9_025)).toContain("S7");
});

test("who was cut off when its lease ran out may be declared dead much later, if nobody could before", () => {
  const story = new Story();
  story.say(13_500, 0, { event: "fault", kind: "hole", target: "worker-2", from: 13_500, to: 14_000, proof: "" });
  Object.assign(story.final.workers[1]!, { expiresAt: 16_000, deadAt: 23_000 });
  expect(broken(story)).toEqual([]);
});

test("a job that waits while others keep all slots busy is not late, one that waits for nothing is", () => {
  const finished = (neighbours: number) => {
    const story = new Story();
    story.entries.find(({ event }) => event === "quiet")!.at = 31_200;
    story.entries.find(({ event }) => event === "over")!.at = 32_000;
    const run = (id: string, from: number, to: number) => {
      story.wish(id, 19_900, { does: "ignore" });
      story.started(id, 1, from, 2);
      story.ended(id, 1, to - 10, 2, "returned");
      story.job(id, "completed", { attempt: 1, startedAt: from - 10, finishedAt: to, token: token(id, 1) });
      story.final.stats.completed += 1;
    };
    run("30", 31_000, 31_110);
    for (let one = 0; one < neighbours; one += 1) run(String(40 + one), 20_100, 29_000);
    return broken(story).map(({ id }) => id);
  };
  expect(finished(0)).toEqual(["L1"]);
  expect(finished(4)).toEqual([]); // four times 8.9 s over sixteen slots
});

test("a retry may wait longer while others of its process fill the time before it, and no longer than that", () => {
  const waited = (others: number, ms: number) => {
    const story = new Story();
    for (let one = 0; one < others; one += 1) story.ended(String(60 + one), 1, 9_010, 2, "threw");
    const failure = story.rowOf("5", "error");
    failure.retryAt = failure.finishedAt + ms;
    story.rowOf("5", "completed").startedAt = failure.retryAt + 20;
    return broken(story).some(({ id }) => id === "S10");
  };
  expect(waited(4, 230)).toBe(true);
  expect(waited(5, 230)).toBe(false);
  expect(waited(5, 730)).toBe(true);
  expect(waited(10, 730)).toBe(false);
});

test("a process that stood still between claim and start begins while another does the job of its key", () => {
  const story = new Story();
  story.wish("21", 4_000, { does: "ignore", key: "page" });
  story.say(4_500, 0, { event: "fault", kind: "stop", target: "worker-2", from: 4_500, to: 8_150, proof: "" });
  story.worker(2, { id: "w2old", deadAt: 8_000, expiresAt: 7_900 });
  story.attempt("21", 1, "crashed", 4_490, 8_010, 2);
  story.rowOf("21", "crashed").worker = "w2old";
  story.started("21", 2, 8_100, 3);
  story.started("21", 1, 8_160, 2);
  story.say(8_170, 2, { event: "aborted", id: "21", token: token("21", 1), reason: "LEASE_LOST" });
  story.ended("21", 1, 8_180, 2, "threw");
  story.ended("21", 2, 8_700, 3, "returned");
  story.attempt("21", 2, "completed", 8_090, 8_710, 3);
  const completed = { attempt: 2, crashCount: 1, startedAt: 8_090, finishedAt: 8_710, token: token("21", 2) };
  story.job("21", "completed", completed);
  story.final.stats.completed += 1;
  expect(broken(story)).toEqual([]);
});

test("jobs of a worker that stopped are taken back when its registration is gone", () => {
  const story = new Story();
  story.final.workers.splice(0, 1);
  story.entries.find((entry) => entry.event === "exited")!.at = 7_900;
  Object.assign(
    story.entries.find((entry) => entry.event === "exited")!,
    { by: "SIGTERM", code: 0 },
  );
  expect(broken(story).map(({ id }) => id)).not.toContain("S7");
});

test("a process that cannot start in an outage may end, and one that is cut off may be slow to stop", () => {
  const story = new Story();
  story.say(7_000, 0, { event: "fault", kind: "refuse", target: "worker-2", from: 7_000, to: 9_000, proof: "" });
  story.say(7_100, 4, { event: "exited", name: "worker-2", code: 1, by: undefined });
  story.say(8_000, 2, { event: "exited", name: "worker-2", code: "SIGKILL", by: "SIGTERM" });
  expect(broken(story).map(({ id }) => id)).not.toContain("P1");
});

test("two runs of one key may overlap once the first has lost its claim", () => {
  const story = new Story();
  story.wish("20", 4_000, { does: "ignore", key: "page" });
  story.say(4_600, 0, { event: "fault", kind: "stop", target: "worker-2", from: 4_600, to: 8_500, proof: "" });
  story.worker(2, { id: "w2old", deadAt: 8_000, expiresAt: 7_900 });
  story.started("20", 1, 4_500, 2);
  story.attempt("20", 1, "crashed", 4_490, 8_010, 2);
  story.rowOf("20", "crashed").worker = "w2old";
  story.started("20", 2, 8_100, 3);
  story.say(8_550, 2, { event: "aborted", id: "20", token: token("20", 1), reason: "LEASE_LOST" });
  story.ended("20", 1, 8_600, 2, "returned");
  story.ended("20", 2, 8_700, 3, "returned");
  story.attempt("20", 2, "completed", 8_090, 8_710, 3);
  story.job("20", "completed", {
    attempt: 2,
    crashCount: 1,
    startedAt: 8_090,
    finishedAt: 8_710,
    token: token("20", 2),
  });
  story.final.stats.completed += 1;
  expect(broken(story)).toEqual([]);
});
