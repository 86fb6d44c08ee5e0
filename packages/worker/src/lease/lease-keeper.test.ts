import { type Database, DatabaseUnreachableError, LeaseThreadError, silentLogger } from "@hark/core";
import type { Peer } from "@hark/core/statements";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { LeaseKeeper } from "./lease-keeper.ts";
import type { LeaseNews } from "./lease-renewal.ts";
import { SharedDeadline } from "./shared-deadline.ts";
import type { LeaseThread } from "./start-lease-thread.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] }));
afterEach(() => void vi.useRealTimers());

/** A lease thread whose messages the test sends. */
class FakeThread {
  readonly heard = new Map<string, (fact?: unknown) => void>();
  readonly words: string[] = [];
  readonly deadline: SharedDeadline;

  constructor(memory: SharedArrayBuffer) {
    this.deadline = new SharedDeadline(memory);
  }

  on = (event: string, listener: (fact?: unknown) => void) => this.heard.set(event, listener);
  once = this.on;
  postMessage = (word: string) => {
    this.words.push(word);
    this.heard.get("exit")?.();
  };
  terminate = async () => this.heard.get("exit")?.();

  tell(news: LeaseNews): void {
    this.heard.get("message")!(news);
  }

  register(identity: string, registration: number, forMs = 10_000): void {
    this.deadline.set(registration, forMs);
    this.tell({ kind: "registered", identity, registration });
  }
}

function makeKeeper() {
  const threads: FakeThread[] = [];
  const left: unknown[] = [];
  const keeper = new LeaseKeeper({
    connectionString: "postgres://host/name",
    db: {
      query: async ({ values }: { values: unknown[] }) => (left.push(values[0]), { rows: [] }),
    } as never as Database,
    name: "test",
    queues: { q: 1 },
    leaseMs: 10_000,
    logger: silentLogger,
    startThread: ({ held }) => {
      threads.push(new FakeThread(held));
      return threads.at(-1) as unknown as LeaseThread;
    },
  });
  const told: string[] = [];
  keeper.registered.on(() => told.push(`registered ${keeper.identity}`));
  keeper.lost.on(() => told.push("lost"));
  return { keeper, threads, told, left };
}

test("a start resolves once the lease holds, and a stop leaves the table of workers", async () => {
  const { keeper, threads, told, left } = makeKeeper();
  const started = keeper.start();
  expect(keeper.identity).toBeUndefined();
  threads[0]!.register("one", 1);
  await started;
  expect([keeper.identity, told]).toEqual(["one", ["registered one"]]);

  await keeper.stop();
  expect([keeper.identity, left, threads[0]!.words]).toEqual([undefined, ["one"], ["stop"]]);
  expect(vi.getTimerCount()).toBe(0);
});

test("a start without a registration within 15 s throws with the last failure, and leaves no thread and no timer", async () => {
  const { keeper, threads } = makeKeeper();
  const started = keeper.start();
  const failed = expect(started).rejects.toThrow(DatabaseUnreachableError);
  threads[0]!.tell({ kind: "failed", message: "connect ECONNREFUSED" });
  await vi.advanceTimersByTimeAsync(15_000);
  await failed;
  await expect(started).rejects.toThrow("ECONNREFUSED");
  expect([threads.length, threads[0]!.words, vi.getTimerCount()]).toEqual([1, ["stop"], 0]);
});

test("a lost lease is reported once, and so is the next registration", async () => {
  const { keeper, threads, told } = makeKeeper();
  void keeper.start();
  threads[0]!.register("one", 1);
  threads[0]!.tell({ kind: "lost", isHung: false });
  threads[0]!.tell({ kind: "lost", isHung: false });
  expect(keeper.identity).toBeUndefined();
  threads[0]!.register("two", 2);
  expect(told).toEqual(["registered one", "lost", "registered two"]);
});

test("the lease no longer holds even before the message about its loss arrives", async () => {
  const { keeper, threads } = makeKeeper();
  void keeper.start();
  const now = performance.now();
  expect(keeper.isHeld(now)).toBe(false);
  threads[0]!.register("one", 1, 60_000);
  expect(keeper.isHeld(now)).toBe(true);

  threads[0]!.deadline.set(1, 0); // lost, and the message is on its way
  expect(keeper.isHeld(now + 60_000)).toBe(false);
  threads[0]!.tell({ kind: "lost", isHung: false });
  expect(keeper.isHeld(now)).toBe(false);
});

test("the deadline of an earlier registration does not count for the present one", async () => {
  const { keeper, threads } = makeKeeper();
  void keeper.start();
  threads[0]!.register("one", 1, 60_000);
  threads[0]!.tell({ kind: "lost", isHung: false });
  threads[0]!.tell({ kind: "registered", identity: "two", registration: 2 });
  expect(keeper.isHeld(performance.now())).toBe(false);
});

test("a thread that exits loses the lease, and another takes its place", async () => {
  const { keeper, threads, told } = makeKeeper();
  void keeper.start();
  threads[0]!.register("one", 1);
  threads[0]!.heard.get("exit")!();
  expect([told, threads.length]).toEqual([["registered one", "lost"], 2]);
  threads[1]!.register("two", 1);
  expect(keeper.identity).toBe("two");
});

test("it knows the peers of the last renewal, by queue", async () => {
  const { keeper, threads } = makeKeeper();
  void keeper.start();
  expect(keeper.peersOn("q")).toEqual([]);
  const renewed = (peers?: Peer[]): LeaseNews => {
    return { kind: "renewed", peers, othersExpireInMs: 9_000, notificationQueueUsage: 0 };
  };
  const peersOn = () => [keeper.peersOn("q"), keeper.peersOn("other")];
  threads[0]!.tell(renewed([{ id: "one", queues: null }, { id: "two", queues: ["q"] }])); // prettier-ignore
  expect(peersOn()).toEqual([["one", "two"], ["one"]]);
  threads[0]!.tell(renewed()); // the same as before
  expect(peersOn()).toEqual([["one", "two"], ["one"]]);
  threads[0]!.tell(renewed([{ id: "three", queues: ["other"] }]));
  expect(peersOn()).toEqual([[], ["three"]]);
});

test("a thread that cannot load makes the start throw at once, with the reason", async () => {
  const { keeper, threads } = makeKeeper();
  const started = keeper.start();
  const failed = expect(started).rejects.toThrow(LeaseThreadError);
  threads[0]!.heard.get("error")!(new Error("Cannot find module 'pg'"));
  threads[0]!.heard.get("exit")!();
  await failed;
  await expect(started).rejects.toThrow("Cannot find module 'pg'");
  expect([threads.length, vi.getTimerCount()]).toEqual([1, 0]);
});

test("a later thread that cannot load is tried again after a rest", async () => {
  const { keeper, threads } = makeKeeper();
  void keeper.start();
  threads[0]!.register("one", 1);
  threads[0]!.heard.get("exit")!();
  threads[1]!.heard.get("exit")!();
  expect(threads.length).toBe(2);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(threads.length).toBe(3);
  await keeper.stop();
});
