import { expect, test } from "vitest";
import { Prefetch } from "./prefetch.ts";

/** The prefetch of ten slots, and a clock that a test moves. */
function makePrefetch() {
  let now = 1_000;
  const prefetch = new Prefetch(10, { now: () => now });
  return {
    prefetch,
    pass: (ms: number) => (now += ms),
    /** So many attempts end within so many ms, evenly. */
    end: (attempts: number, inMs: number) => {
      for (let n = 0; n < attempts; n += 1) {
        now += inMs / attempts;
        prefetch.attemptEnded();
      }
    },
  };
}

test("before any attempt has ended, only what may run at once is claimed", () => {
  const { prefetch } = makePrefetch();
  expect(prefetch.demand(0)).toBe(10);
  expect(prefetch.demand(9)).toBe(1);
  expect(prefetch.demand(10)).toBe(0);
});

test("it holds ahead what ends within 40 ms at the recent rate", () => {
  const { prefetch, end } = makePrefetch();
  end(200, 80);
  expect(prefetch.ahead).toBeCloseTo(100, -1);
  end(20, 80);
  expect(prefetch.ahead).toBeLessThan(30);
});

test("it asks again once half of what it holds ahead is used up, for all that is missing", () => {
  const { prefetch, end } = makePrefetch();
  end(200, 80);
  const { ahead } = prefetch;
  expect(prefetch.demand(10 + ahead)).toBe(0);
  expect(prefetch.demand(10 + Math.ceil(ahead / 2))).toBe(0);
  expect(prefetch.demand(9 + Math.ceil(ahead / 2))).toBe(ahead - Math.ceil(ahead / 2) + 1);
});

test("one short job among long ones is no reason to hold many", () => {
  const { prefetch, end } = makePrefetch();
  end(1, 0.2);
  expect(prefetch.ahead).toBe(2);
});

test("jobs of no length are held up to a limit, after a few claims that double", () => {
  const { prefetch, end } = makePrefetch();
  end(10, 0.1);
  expect(prefetch.ahead).toBe(20);
  end(20, 0.2);
  expect(prefetch.ahead).toBe(60);
  end(10_000, 49);
  expect(prefetch.ahead).toBe(2_000);
});

test("attempts that ended a while ago no longer count", () => {
  const { prefetch, end, pass } = makePrefetch();
  end(1_000, 40);
  pass(100);
  expect(prefetch.ahead).toBe(0);
});

test("after jobs waited too long, nothing is held ahead until attempts have ended again", () => {
  const { prefetch, end } = makePrefetch();
  end(1_000, 40);
  prefetch.forget();
  expect(prefetch.ahead).toBe(0);
  end(4, 20);
  expect(prefetch.ahead).toBe(8);
});

test("its capacity may change while jobs run", () => {
  const { prefetch } = makePrefetch();
  prefetch.capacity = 12;
  expect(prefetch.demand(10)).toBe(2);
  prefetch.capacity = 0;
  expect(prefetch.demand(0)).toBe(0);
});
