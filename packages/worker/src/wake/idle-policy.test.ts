import { silentLogger } from "@hark/core";
import { expect, onTestFinished, test, vi } from "vitest";
import { IdlePolicy } from "./idle-policy.ts";
import type { NotifyGate } from "./notify-gate.ts";
import { type Writers, WriterWatch } from "./writer-watch.ts";

/** A gate without a database. Its `writers` are the open transactions. */
class StubGate {
  writers: Writers = [];
  isOpened = false;
  openings = 0;
  open = async () => ((this.isOpened = true), (this.openings += 1), this.writers);
  stillWriting = async (writers: Writers) => writers.filter((writer) => this.writers.includes(writer));
  readonly #watch = new WriterWatch((writers) => this.stillWriting(writers));
  someEnded = (writers: Writers, since: number) => this.#watch.someEnded(writers, since);
  isOpen = () => this.isOpened;
  close = () => void (this.isOpened = false);
}

const never = new Promise<void>(() => {});
const until = { rung: never, signal: new AbortController().signal };
const nothing = async () => false;

function sleeperAt(
  gate: StubGate,
  isAnyReady: () => Promise<boolean> = nothing,
  isListening: () => boolean = () => true,
): IdlePolicy {
  return new IdlePolicy({
    queue: "q",
    gate: gate as unknown as NotifyGate,
    isListening,
    isAnyReady,
    pollMs: 5_000,
    logger: silentLogger,
  });
}

/** From here on, the idle policy's clock advances only when the test says so. */
function takeOverTheClock(): void {
  vi.useFakeTimers({ toFake: ["performance"] });
  onTestFinished(() => void vi.useRealTimers());
}

test("a failed query after the gate was opened again does not count as the end of all writers", async () => {
  const gate = new StubGate();
  let ask: () => Promise<boolean> = nothing;
  const sleeper = sleeperAt(gate, () => ask());
  await sleeper.rest(0, until);
  expect(sleeper.isAsleep).toBe(true);

  gate.isOpened = false; // its session is lost, and the sleeper rung
  sleeper.wake();
  gate.writers = ["3/14"];
  ask = () => Promise.reject(new Error("no answer"));
  await expect(sleeper.rest(0, until)).rejects.toThrow("no answer");

  ask = nothing;
  const ended = sleeper.rest(0, until);
  expect(await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 50, "still looking"))])).toBe(
    "still looking",
  );
  expect(sleeper.isAsleep).toBe(false);
  gate.writers = [];
  expect(await ended).toBe("until rung");
  expect(sleeper.isAsleep).toBe(true);
});

test("while jobs come fast it looks every ms, and no ring ends that rest", { tags: ["FM-13"] }, async () => {
  takeOverTheClock();
  const sleeper = sleeperAt(new StubGate());
  let next: unknown;
  for (let look = 0; look < 20; look += 1) {
    await vi.advanceTimersByTimeAsync(1);
    next = await sleeper.rest(2, until);
  }
  expect(next).toEqual({ restMs: 1, isUninterruptible: true });
});

test("while ready jobs are locked it rests longer each time, and never sleeps", async () => {
  let isReady = true;
  const sleeper = sleeperAt(new StubGate(), async () => isReady);
  const rests: number[] = [];
  for (let look = 0; look < 12; look += 1) {
    const next = await sleeper.rest(0, until); // after a claim that got nothing
    rests.push((next as { restMs: number }).restMs);
    expect(sleeper.isAsleep).toBe(false);
    expect(await sleeper.sleepOn(until)).toBeUndefined(); // it is still ready: claim
  }
  expect(rests[0]).toBeLessThanOrEqual(6);
  expect(rests.slice(0, 4).reduce((sum, rest) => sum + rest)).toBeGreaterThan(25); // four looks take that long at least
  for (const rest of rests.slice(7)) expect(rest).toBeGreaterThan(100);
  for (const rest of rests) expect(rest).toBeLessThanOrEqual(375);

  const last = await sleeper.rest(0, until);
  expect(last).toHaveProperty("restMs");
  isReady = false; // its claim was committed
  expect(await sleeper.sleepOn(until)).toBe("until rung"); // no claim for that
  expect(sleeper.isAsleep).toBe(true);

  isReady = true;
  sleeper.wake();
  expect((await sleeper.rest(0, until)) as { restMs: number }).toHaveProperty("restMs");
});

test("it asks before its first claim and when something may have been missed, and a wake-up claims at once", async () => {
  let isReady = true;
  let questions = 0;
  const gate = new StubGate();
  const sleeper = sleeperAt(gate, async () => ((questions += 1), isReady));
  expect(await sleeper.sleepOn(until)).toBeUndefined(); // one question, and the gate stays closed: it will claim
  expect([questions, gate.openings]).toEqual([1, 0]);
  isReady = false;
  expect(await sleeper.rest(0, until)).toBe("until rung");
  expect([questions, gate.openings]).toEqual([2, 1]);

  expect(await sleeper.sleepOn(until)).toBe("until rung"); // rung for a slot that came free: it asks nothing
  expect(questions).toBe(2);
  sleeper.doubt();
  expect(await sleeper.sleepOn(until)).toBe("until rung");
  expect([questions, gate.openings]).toEqual([3, 1]); // the gate is still open
  isReady = true;
  sleeper.doubt();
  expect(await sleeper.sleepOn(until)).toBeUndefined();
  expect(sleeper.isAsleep).toBe(false);
  expect(await sleeper.rest(1, until)).toBe("again");

  isReady = false;
  expect(await sleeper.rest(1, until)).toBe("until rung");
  questions = 0;
  sleeper.wake();
  expect(await sleeper.sleepOn(until)).toBeUndefined();
  expect(questions).toBe(0);
});

test("the poll asks for it exactly while it rests until a wake-up, and it expects notifications while its gate is open", async () => {
  const gate = new StubGate();
  let isListening = false;
  const sleeper = sleeperAt(gate, nothing, () => isListening);
  const facts = () => [sleeper.awaitsPoll, sleeper.expectsNotifications, gate.openings];
  expect(facts()).toEqual([false, false, 0]);
  await sleeper.sleepOn(until); // nothing is announced: it opens no gate
  expect(facts()).toEqual([true, false, 0]);

  isListening = true;
  sleeper.doubt();
  expect(facts()).toEqual([false, false, 0]);
  await sleeper.sleepOn(until);
  expect(facts()).toEqual([true, true, 1]);

  sleeper.wake();
  expect(facts()).toEqual([false, false, 1]);
  await sleeper.sleepOn(until);
  isListening = false;
  expect(await sleeper.rest(0, until)).toBe("until rung");
  expect(facts()).toEqual([true, false, 1]);
  expect(gate.isOpened).toBe(false);
});

test("a question that fails is no failed step and is left to the poll, and a wake-up claims at once", async () => {
  const failing = () => Promise.reject(new Error("no answer"));
  const sleeper = sleeperAt(new StubGate(), failing);
  expect(await sleeper.sleepOn(until)).toBe("until rung");
  expect([sleeper.awaitsPoll, sleeper.expectsNotifications]).toEqual([true, false]);
  sleeper.wake();
  expect(await sleeper.sleepOn(until)).toBeUndefined();
});

test("a wake-up during a query is not missed", async () => {
  let sleeper!: IdlePolicy;
  sleeper = sleeperAt(new StubGate(), async () => (sleeper.wake(), false));
  expect(await sleeper.rest(0, until)).toBe("again");
  expect(sleeper.isAsleep).toBe(false);
});

test("a worker that lets others go first sleeps until its turn, and claims only if jobs are left by then", async () => {
  let isReady = false;
  let questions = 0;
  const sleeper = sleeperAt(new StubGate(), async () => ((questions += 1), isReady));
  await sleeper.rest(0, until);
  questions = 0;
  takeOverTheClock();

  sleeper.wake(30);
  sleeper.wake(60); // a later turn is no reason to wait longer
  expect(await sleeper.sleepOn(until)).toEqual({ restMs: 30 });
  expect([sleeper.isAsleep, questions]).toEqual([true, 0]);
  vi.advanceTimersByTime(30);
  expect(await sleeper.sleepOn(until)).toBe("until rung"); // another took it
  expect([sleeper.isAsleep, questions]).toEqual([true, 1]);

  sleeper.wake(1);
  isReady = true;
  vi.advanceTimersByTime(1);
  expect(await sleeper.sleepOn(until)).toBeUndefined();
  expect(sleeper.isAsleep).toBe(false);

  isReady = false;
  await sleeper.rest(1, until);
  sleeper.wake(30);
  sleeper.wake(); // now it is the first
  expect(await sleeper.sleepOn(until)).toBeUndefined();
});

test("a turn that comes during a query is not missed", async () => {
  let sleeper!: IdlePolicy;
  let isFirst = true;
  takeOverTheClock();
  sleeper = sleeperAt(new StubGate(), async () => {
    if (sleeper.isAsleep && isFirst) {
      isFirst = false;
      sleeper.wake(10);
    }
    return false;
  });
  await sleeper.rest(0, until);
  sleeper.doubt();
  expect(await sleeper.sleepOn(until)).toEqual({ restMs: 10 });
  expect(await sleeper.sleepOn(until)).toEqual({ restMs: 10 });
});

test("after spurious wake-ups a worker asks before it claims, and asks rarely", { tags: ["FM-13"] }, async () => {
  using clock = stoppedClock();
  let questions = 0;
  const sleeper = sleeperAt(new StubGate(), async () => ((questions += 1), false));
  await sleeper.rest(0, until);
  questions = 0;
  let claims = 0;
  const endsAt = performance.now() + 200;
  while (performance.now() < endsAt) {
    sleeper.wake(); // forged
    const next = await sleeper.sleepOn(until);
    if (next === undefined) {
      claims += 1;
      await sleeper.rest(0, until);
    } else if (typeof next === "object") await clock.pass(next.restMs);
  }
  expect(claims).toBeLessThanOrEqual(1);
  expect(questions).toBeGreaterThan(3);
  expect(questions).toBeLessThanOrEqual(43);

  await clock.pass(60); // no wake-ups meanwhile
  sleeper.wake();
  expect(await sleeper.sleepOn(until)).toBeUndefined();
});

test("a worker that is woken again during a look that finds nothing asks before it claims", async () => {
  using clock = stoppedClock();
  let isReady = false;
  let sleeper!: IdlePolicy;
  sleeper = sleeperAt(new StubGate(), async () => (sleeper.wake(), isReady));
  let claims = 0;
  for (let look = 0; look < 20; look += 1) {
    const next = (await sleeper.sleepOn(until)) ?? ((claims += 1), await sleeper.rest(0, until));
    if (typeof next === "object") await clock.pass(next.restMs);
  }
  expect(claims).toBeLessThanOrEqual(3);

  isReady = true; // and is not missed
  await clock.pass(6);
  expect(await sleeper.sleepOn(until)).toBeUndefined();
});

test("a worker that is woken while the gate does not answer looks, and does not wait for the answer", async () => {
  const gate = new StubGate();
  gate.open = () => new Promise<never>(() => {}); // no answer ever comes
  const sleeper = sleeperAt(gate);
  const rung = Promise.withResolvers<void>();
  const next = sleeper.rest(0, { ...until, rung: rung.promise });

  sleeper.wake();
  rung.resolve();

  expect(await next).toBe("again");
  expect(sleeper.isAsleep).toBe(false);
});

test("the time that opening the gate took before it failed counts towards the rest", async () => {
  const gate = new StubGate();
  const silent = Promise.withResolvers<never>();
  gate.open = () => silent.promise;
  const startedAt = performance.now();
  const resting = sleeperAt(gate).rest(0, until);
  await new Promise((resolve) => setTimeout(resolve, 30));

  silent.reject(new Error("no answer"));

  const { restMs } = (await resting) as { restMs: number };
  expect(restMs).toBeLessThanOrEqual(1_000 - 29);
  expect(restMs).toBeGreaterThanOrEqual(1_000 - (performance.now() - startedAt));
});

/** A clock that moves only when the test says so. */
function stoppedClock(): Disposable & { pass(ms: number): Promise<unknown> } {
  vi.useFakeTimers({ toFake: ["performance", "setTimeout", "clearTimeout"] });
  return {
    pass: (ms) => vi.advanceTimersByTimeAsync(ms),
    [Symbol.dispose]: () => void vi.useRealTimers(),
  };
}
