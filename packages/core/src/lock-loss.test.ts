import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { LockLostError } from "./errors/index.ts";
import { createLocks, type Lock } from "./locks.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Locks over a database that grants, renews and releases, unless it `refuses`. */
function locksOnClock() {
  const database = { refuses: false };
  const query = async () => ({ rows: database.refuses ? [] : [{ is_granted: true, fence: "1" }] });
  const locks = createLocks({ db: { query } });
  return { database, locks, acquire: () => locks.acquire("page", { ttlMs: 60_000 }) };
}

const isLost = ({ signal }: Lock) => {
  if (signal.aborted) expect(signal.reason).toBeInstanceOf(LockLostError);
  return signal.aborted;
};

test("locks whose signal nobody asks for leave no timer, also if they are released by their tokens alone", async () => {
  const { locks, acquire } = locksOnClock();
  for (let each = 0; each < 100; each += 1) {
    const { key, token } = await acquire();
    expect(await locks.release(key, token)).toBe(true);
  }
  expect(vi.getTimerCount()).toBe(0);

  const lock = await acquire();
  expect(lock.signal).toBe(lock.signal);
  expect(vi.getTimerCount()).toBe(1);
  await lock.release();
  expect(vi.getTimerCount()).toBe(0);
});

test(
  "the signal is aborted a second before the time is up, whenever it is asked for",
  { tags: ["FM-55"] },
  async () => {
    for (const askedAfterMs of [0, 30_000, 58_999]) {
      const lock = await locksOnClock().acquire();
      vi.advanceTimersByTime(askedAfterMs);
      const lost = vi.fn<() => void>();
      lock.signal.addEventListener("abort", lost);
      vi.advanceTimersByTime(58_999 - askedAfterMs);
      expect([isLost(lock), lost.mock.calls.length]).toEqual([false, 0]);
      vi.advanceTimersByTime(1);
      expect([isLost(lock), lost.mock.calls.length]).toEqual([true, 1]);
    }
    const late = await locksOnClock().acquire();
    vi.advanceTimersByTime(59_000);
    expect(isLost(late)).toBe(true);
  },
);

test("a renewal postpones that, before and after the signal is asked for", { tags: ["FM-55"] }, async () => {
  for (const isAskedFirst of [false, true]) {
    const lock = await locksOnClock().acquire();
    if (isAskedFirst) expect(isLost(lock)).toBe(false);
    vi.advanceTimersByTime(50_000);
    await lock.renew();
    vi.advanceTimersByTime(58_999);
    expect(isLost(lock)).toBe(false);
    vi.advanceTimersByTime(1);
    expect(isLost(lock)).toBe(true);
  }
});

test("a signal that is asked for later tells of a refused renewal, and of a release in time or too late", async () => {
  const { database, acquire } = locksOnClock();
  const [refused, released, late] = [await acquire(), await acquire(), await acquire()];
  await released.release();
  vi.advanceTimersByTime(59_500);
  await late.release();
  database.refuses = true;
  await expect(refused.renew()).rejects.toThrow(LockLostError);
  expect([isLost(refused), isLost(released), isLost(late)]).toEqual([true, false, true]);
  expect(vi.getTimerCount()).toBe(0);
});
