import { expect, test } from "vitest";
import { OtherWorkers } from "./other-workers.ts";

/** What claims told, on a clock that the test moves, in ms. */
function othersOnClock() {
  let nowMs = 1_000;
  const others = new OtherWorkers({ now: () => nowMs });
  const mayLiveAfter = (ms: number) => {
    nowMs += ms;
    return others.mayLive;
  };
  return { others, mayLiveAfter, now: () => nowMs };
}

test("other workers may live until a claim told of none, and again soon after it began", () => {
  const { others, mayLiveAfter, now } = othersOnClock();
  expect(mayLiveAfter(0)).toBe(true);
  others.told(false, now() - 40);
  expect(mayLiveAfter(0)).toBe(false);
  expect(mayLiveAfter(59)).toBe(false);
  expect(mayLiveAfter(1)).toBe(true);
  others.told(false, now());
  others.told(true, now());
  expect(mayLiveAfter(0)).toBe(true);
});

test("after a claim met another at a key, others are expected for a minute whatever claims tell", () => {
  const { others, mayLiveAfter, now } = othersOnClock();
  others.met();
  others.told(false, now());
  expect(mayLiveAfter(0)).toBe(true);
  expect(mayLiveAfter(59_999)).toBe(true);
  others.told(false, now() + 1);
  expect(mayLiveAfter(1)).toBe(false);
});
