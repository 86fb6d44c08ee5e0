import { expect, test } from "vitest";
import { mediansOf, orderOf, ratiosTo, tableOf } from "./results.ts";

const metrics = [
  { key: "perSecond", label: "drained", unit: "jobs/s" },
  { key: "p50Ms", label: "p50", unit: "ms" },
];

test("an adapter's figure is the median of its runs, and one that does not apply is left out", () => {
  expect(mediansOf(metrics, [{ perSecond: 10 }, { perSecond: 90 }, { perSecond: 20 }])).toEqual({ perSecond: 20 });
});

test("a ratio is ours over the peer's, and there is none without both figures", () => {
  expect(ratiosTo({ perSecond: 50_000 }, { perSecond: 20_000, p50Ms: 3 })).toEqual({ perSecond: 2.5 });
  expect(ratiosTo({ perSecond: 50_000 }, { perSecond: 0 })).toEqual({});
  expect(ratiosTo(undefined, { perSecond: 1 })).toEqual({});
});

test("a table says how ours stands to each peer, and which peer failed", () => {
  const table = tableOf({
    scenario: "drain:1",
    title: "Drain",
    metrics,
    adapters: [
      { adapter: "hark", medians: { perSecond: 50_000, p50Ms: 1.25 }, runs: [] },
      { adapter: "peer", medians: { perSecond: 20_000, p50Ms: 2.5 }, runs: [] },
      { adapter: "broken", medians: {}, runs: [], failure: "job 3 was handled 2 times" },
    ],
  });
  expect(table.split("\n")).toEqual([
    "### Drain",
    "",
    "| adapter | drained, jobs/s | hark : it | p50, ms | hark : it |",
    "| --- | --: | --: | --: | --: |",
    "| hark | 50,000 |  | 1.25 |  |",
    "| peer | 20,000 | 2.50x | 2.50 | 0.50x |",
    "| broken | failed: job 3 was handled 2 times |  |  |  |",
  ]);
});

test("adapters alternate: each repetition runs them the other way round", () => {
  expect([0, 1, 2].map((repetition) => orderOf(["a", "b"], repetition))).toEqual([
    ["a", "b"],
    ["b", "a"],
    ["a", "b"],
  ]);
});
