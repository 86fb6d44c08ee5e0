import { expect, test } from "vitest";
import { Prefetch } from "./prefetch.ts";

/** An appetite for ten slots, and a clock that a test moves. */
function makeAppetite() {
  let now = 1_000;
  const appetite = new Prefetch(10, () => now);
  return {
    appetite,
    pass: (ms: number) => (now += ms),
    /** So many attempts end within so many ms, evenly. */
    end: (attempts: number, inMs: number) => {
      for (let n = 0; n < attempts; n += 1) {
        now += inMs / attempts;
        appetite.attemptEnded();
      }
    },
  };
}

test("before any attempt ended, it wants only what may run at once", () => {
  const { appetite } = makeAppetite();
  expect(appetite.wanted(0)).toBe(10);
  expect(appetite.wanted(9)).toBe(1);
  expect(appetite.wanted(10)).toBe(0);
});

test("it holds ahead what ends within 40 ms at the rate of late", () => {
  const { appetite, end } = makeAppetite();
  end(200, 80);
  expect(appetite.ahead).toBeCloseTo(100, -1);
  end(20, 80);
  expect(appetite.ahead).toBeLessThan(30);
});

test("it asks again once half of what it holds ahead is used up, for all that is missing", () => {
  const { appetite, end } = makeAppetite();
  end(200, 80);
  const { ahead } = appetite;
  expect(appetite.wanted(10 + ahead)).toBe(0);
  expect(appetite.wanted(10 + Math.ceil(ahead / 2))).toBe(0);
  expect(appetite.wanted(9 + Math.ceil(ahead / 2))).toBe(ahead - Math.ceil(ahead / 2) + 1);
});

test("one short job among long ones is no reason to hold many", () => {
  const { appetite, end } = makeAppetite();
  end(1, 0.2);
  expect(appetite.ahead).toBe(2);
});

test("jobs of no length are held up to a limit, after a few claims that double", () => {
  const { appetite, end } = makeAppetite();
  end(10, 0.1);
  expect(appetite.ahead).toBe(20);
  end(20, 0.2);
  expect(appetite.ahead).toBe(60);
  end(10_000, 49);
  expect(appetite.ahead).toBe(2_000);
});

test("what ended a while ago tells nothing", () => {
  const { appetite, end, pass } = makeAppetite();
  end(1_000, 40);
  pass(100);
  expect(appetite.ahead).toBe(0);
});

test("told that jobs waited too long, it holds nothing ahead until attempts have ended again", () => {
  const { appetite, end } = makeAppetite();
  end(1_000, 40);
  appetite.forget();
  expect(appetite.ahead).toBe(0);
  end(4, 20);
  expect(appetite.ahead).toBe(8);
});
