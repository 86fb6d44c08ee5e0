import { expect, test } from "vitest";
import { chartOf } from "./chart.ts";

const result = {
  scenario: "drain:1",
  title: "Drain < 1",
  metrics: [{ key: "perSecond", label: "drained", unit: "jobs/s" }],
  adapters: [
    { adapter: "hark", medians: { perSecond: 50_000 }, runs: [] },
    { adapter: "peer", medians: { perSecond: 25_000 }, runs: [] },
    { adapter: "broken", medians: {}, runs: [], failure: "it failed" },
  ],
};

test("bars are as long as their figures, from zero, and ours is the one in colour", () => {
  const svg = chartOf([result], "on two cores");
  const bars = [...svg.matchAll(/<rect class="(\w+)".* width="([\d.]+)"/g)].map(([, name, length]) => [
    name,
    Number(length),
  ]);
  expect(bars).toEqual([
    ["ours", 600],
    ["bar", 300],
  ]);
  expect(svg).toContain(">50,000<");
});

test("an adapter without a figure has no bar, and a scenario without figures no group", () => {
  expect(chartOf([result], "")).not.toContain("broken");
  expect(chartOf([{ ...result, adapters: [result.adapters[2]!] }], "")).not.toContain("Drain");
});

test("texts are escaped", () => {
  expect(chartOf([result], "a & b")).toContain("a &amp; b");
  expect(chartOf([result], "")).toContain("Drain &lt; 1");
});
