import type { Entry, Event, Wish } from "../ledger/entries.ts";
import type { FinalAttempt, FinalJob, FinalState, FinalWorker } from "../ledger/final-state.ts";
import { check } from "./check.ts";
import type { Disturbance, History, Promises } from "./study.ts";

/**
 * A short campaign: two workers and some jobs. One worker is killed at 5,000 and back at 6,000. The
 * calm begins at 20,000.
 */
export class Story {
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

    // Killed with its worker, rescued, run by the other worker.
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

    // Fatal, cancelled, with an effect, in a transaction, and the same unique key again.
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
      type: "campaign.work",
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
    this.say(at, 9, { event: "wished", ref: `r${id}`, type: "campaign.work", maxAttempts: 5, ...wish });
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
      type: "campaign.work",
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
    this.say(dueAt, 0, { event: "wished", ref: `r${id}`, type: "campaign.probe", does: "probe", maxAttempts: 5 });
    this.say(startedAt, 2, { event: "ended", id, token: token(id, 1), how: "returned" });
    this.job(id, "completed", { type: "campaign.probe", startedAt, finishedAt: startedAt + 5, token: token(id, 1) });
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

/** The token of an attempt. */
export const token = (id: string, attempt: number) => `t${id}-${attempt}`;
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

/** The invariants that a history breaks. */
export const broken = (story: Story) => check(story.history).filter(({ breaches }) => breaches.length > 0);
