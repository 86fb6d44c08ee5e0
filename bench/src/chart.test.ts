import { expect, test } from "vitest";
import { chartOf } from "./chart.ts";
import type { KeptResult } from "./kept-result.ts";
import { conditions } from "./testing/conditions.ts";

const result: KeptResult = {
  scenario: "drain:1",
  title: "Drain < 1",
  metrics: [{ key: "perSecond", label: "drained", unit: "jobs/s" }],
  adapters: [
    { adapter: "hark", medians: { perSecond: 50_000 }, runs: [] },
    { adapter: "peer", medians: { perSecond: 25_000 }, runs: [] },
    { adapter: "broken", runs: [{ perSecond: 99_000 }], failure: "it failed" },
  ],
  conditions,
};

test("bars start at zero, are as long as their figures, and only Hark's is coloured", () => {
  const svg = chartOf([result]);
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

test("an adapter that failed shows the reason instead of a bar, even if other runs have figures", () => {
  const svg = chartOf([result]);
  expect(svg).toContain(">failed: it failed<");
  expect(svg).not.toContain("99,000");
});

test("a scenario without any figure has no group", () => {
  expect(chartOf([{ ...result, adapters: [result.adapters[2]!] }])).not.toContain("Drain");
});

test("each group says when and on which commit it was measured", () => {
  const other = { ...result, title: "Other", conditions: { ...conditions, commit: "bbbbbbb", rounds: 1 } };
  const svg = chartOf([result, other]);
  expect(svg).toContain(">2026-11-24, aaaaaaa, medians of 3<");
  expect(svg).toContain(">2026-11-24, bbbbbbb, one round<");
});

test("texts are escaped", () => {
  expect(chartOf([result])).toContain("Drain &lt; 1");
  expect(chartOf([{ ...result, title: "a & b" }])).toContain("a &amp; b");
});
