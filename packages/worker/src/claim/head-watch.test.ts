import { expect, test } from "vitest";
import { HeadWatch } from "./head-watch.ts";

const crowd = { isFull: true, foreignShare: 1 };
const clear = { isFull: false, foreignShare: 0 };

/** A watch that has looked at a clear head at the time 0. */
function watching(): HeadWatch {
  const watch = new HeadWatch();
  watch.looked(clear, 0);
  return watch;
}

test("the head is looked at before the first claim, and then only after slow claims", () => {
  const watch = new HeadWatch();
  expect(watch.isDue(0)).toBe(true);
  watch.looked(clear, 0);
  watch.claimed({ tookMs: 2, found: 1 });
  watch.claimed({ tookMs: 90, found: 1_000 });
  expect(watch.isDue(1_000_000)).toBe(false);

  watch.claimed({ tookMs: 6, found: 1 });
  expect(watch.isDue(1_000_000)).toBe(true);
});

test("looks are at least two seconds apart, however slow claims are", () => {
  const watch = watching();
  watch.claimed({ tookMs: 2_000, found: 0 });
  expect([watch.isDue(1_999), watch.isDue(2_000)]).toEqual([false, true]);
});

test.for([
  ["full of other types", { isFull: true, foreignShare: 0.9 }, true],
  ["mostly of other types", { isFull: true, foreignShare: 0.89 }, false],
  ["short", { isFull: false, foreignShare: 1 }, false],
] as const)("a head that is %s is crowded or not", ([, head, isCrowded]) => {
  const watch = watching();
  watch.looked(head, 2_000);
  expect(watch.isCrowded).toBe(isCrowded);
});

test("a crowded head stays so until fewer than half of its jobs are of other types", () => {
  const watch = watching();
  for (const [foreignShare, isCrowded] of [[0.95, true], [0.6, true], [0.49, false], [0.6, false]] as const) {
    watch.looked({ isFull: true, foreignShare }, 2_000);
    expect(watch.isCrowded).toBe(isCrowded);
  } // prettier-ignore
});

test("after a slow claim the next one of the whole queue is a hundred times as long off, up to a minute", () => {
  for (const [tookMs, restMs] of [[10, 2_000], [200, 20_000], [2_000, 60_000]] as const) {
    const watch = watching();
    watch.claimed({ tookMs, found: 0 });
    watch.looked(crowd, 10_000);
    expect([watch.isDue(10_000 + restMs - 1), watch.isDue(10_000 + restMs)]).toEqual([false, true]);
  } // prettier-ignore
});

test("while the head stays crowded, looks come less and less often", () => {
  const watch = new HeadWatch();
  let now = 0;
  const rests = Array.from({ length: 7 }, () => {
    watch.looked(crowd, now);
    const lookedAt = now;
    while (!watch.isDue(now)) now += 1_000;
    return now - lookedAt;
  });
  expect(rests).toEqual([2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
});
