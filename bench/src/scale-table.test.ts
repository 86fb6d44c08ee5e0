import { expect, test } from "vitest";
import type { KeptResult } from "./kept-result.ts";
import { scaleSection } from "./scale-table.ts";
import { conditions } from "./testing/conditions.ts";

const step = (name: string, adapter: KeptResult["adapters"][number]): KeptResult => ({
  scenario: name,
  title: `Title of ${name}`,
  metrics: [{ key: "perSecond", label: "jobs", unit: "jobs/s" }],
  adapters: [adapter],
  conditions,
});

test("each step has a row with its bottleneck, also a step that failed", () => {
  const section = scaleSection([
    step("drain:1", { adapter: "hark", medians: { perSecond: 1 }, runs: [] }),
    step("scale:drain:1", { adapter: "hark", medians: { perSecond: 50_000, machineCpu: 0.95 }, runs: [] }),
    step("scale:drain:8", { adapter: "hark", runs: [], failure: "it hangs" }),
  ]);
  expect(section).not.toContain("Title of drain:1 ");
  expect(section).toMatch(/Title of scale:drain:1 +\| +50,000 .* CPU of the machine \(95 %\) \|/);
  expect(section).toMatch(/Title of scale:drain:8 +\| +failed: it hangs/);
  expect(section).toContain("2026-11-24");
});

test("without a step the section says how to measure one", () => {
  expect(scaleSection([])).toContain("`pnpm bench scale`");
});
