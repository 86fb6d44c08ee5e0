import { expect, test } from "vitest";
import { type AdapterResult, mediansOf, orderOf, ratiosTo, resultOf, tableOf } from "./results.ts";

const metrics = [
  { key: "perSecond", label: "drained", unit: "jobs/s" },
  { key: "p50Ms", label: "p50", unit: "ms" },
];

test("an adapter's figure is the median of its runs, and a metric that does not apply is left out", () => {
  expect(mediansOf(metrics, [{ perSecond: 10 }, { perSecond: 90 }, { perSecond: 20 }])).toEqual({ perSecond: 20 });
});

test("a run without a finite figure does not count in the median", () => {
  expect(
    mediansOf(metrics, [{ perSecond: Number.NaN }, { perSecond: 20 }, { p50Ms: Number.POSITIVE_INFINITY }]),
  ).toEqual({ perSecond: 20 });
});

const measured = (adapter: string, medians: Record<string, number>): AdapterResult => ({ adapter, medians, runs: [] });

test("one failed run voids the others of its adapter", () => {
  const result = resultOf("hark", metrics, [{ perSecond: 10 }, { perSecond: 12 }], "job 3 was handled 2 times");
  expect(result.medians).toBeUndefined();
  expect(result.failure).toBe("job 3 was handled 2 times");
  expect(resultOf("hark", metrics, [{ perSecond: 10 }], undefined).medians).toEqual({ perSecond: 10 });
});

test("a ratio is Hark's figure over the peer's, and both figures are required", () => {
  const ours = measured("hark", { perSecond: 50_000 });
  expect(ratiosTo(ours, measured("peer", { perSecond: 20_000, p50Ms: 3 }))).toEqual({ perSecond: 2.5 });
  expect(ratiosTo(ours, measured("peer", { perSecond: 0 }))).toEqual({});
  expect(ratiosTo(undefined, measured("peer", { perSecond: 1 }))).toEqual({});
});

test("there is no ratio to an adapter that failed, and none at all if Hark failed", () => {
  const broken = (adapter: string) => resultOf(adapter, metrics, [{ perSecond: 10 }], "it failed");
  expect(ratiosTo(measured("hark", { perSecond: 50_000 }), broken("peer"))).toEqual({});
  expect(ratiosTo(broken("hark"), measured("peer", { perSecond: 20_000 }))).toEqual({});
});

test("a table shows Hark's ratio to each peer, and which peer failed", () => {
  const table = tableOf({
    scenario: "drain:1",
    title: "Drain",
    metrics,
    adapters: [
      measured("hark", { perSecond: 50_000, p50Ms: 1.25 }),
      measured("peer", { perSecond: 20_000, p50Ms: 2.5 }),
      { adapter: "broken", runs: [{ perSecond: 9 }], failure: "a | b\nand more" },
    ],
  });
  expect(table.split("\n").map((line) => line.replaceAll(/ +/g, " "))).toEqual([
    "### Drain",
    "",
    "| adapter | drained, jobs/s | hark : it | p50, ms | hark : it |",
    "| ------- | --------------: | --------: | ------: | --------: |",
    "| hark | 50,000 | | 1.25 | |",
    "| peer | 20,000 | 2.50x | 2.50 | 0.50x |",
    String.raw`| broken | failed: a \| b | | | |`,
  ]);
});

test("adapters alternate: every second round runs them in reverse order", () => {
  expect([0, 1, 2].map((repetition) => orderOf(["a", "b"], repetition))).toEqual([
    ["a", "b"],
    ["b", "a"],
    ["a", "b"],
  ]);
});
