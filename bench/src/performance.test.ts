import { expect, test } from "vitest";
import type { KeptResult } from "./kept-result.ts";
import { performanceSection } from "./performance.ts";
import { conditions } from "./testing/conditions.ts";

const idle: KeptResult = {
  scenario: "latency:idle",
  title: "Start latency",
  metrics: [{ key: "p50Ms", label: "p50", unit: "ms", isLessBetter: true }],
  adapters: [
    { adapter: "hark", medians: { p50Ms: 1 }, runs: [] },
    { adapter: "graphile-worker", medians: { p50Ms: 4 }, runs: [] },
    { adapter: "graphile-worker-default", medians: { p50Ms: 400 }, runs: [] },
    { adapter: "pg-boss", runs: [{ p50Ms: 3 }], failure: "it hangs" },
  ],
  conditions: { ...conditions, isQuick: true },
};

test("there is a row for each question with Hark's ratio to each peer; failures say so, unmeasured cells are empty", () => {
  const [header, , row] = performanceSection([idle]).table.split("\n");
  const cells = (line = "") =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim());
  expect(cells(header)).toEqual(["", "hark", "graphile-worker", "pg-boss", "bullmq-postgresql", "bullmq-redis"]);
  expect(cells(row)).toEqual([
    "Start latency: p50, ms (less is better)",
    "1.00",
    "4.00 (0.25x)",
    "failed: it hangs",
    "",
    "",
  ]);
});

test("the table shows its conditions, and says if it is a quick run", () => {
  const { table } = performanceSection([idle]);
  for (const words of ["2026-11-24", "`aaaaaaa`", "A quick run", "fsync on", "peer 1.2.3"])
    expect(table).toContain(words);
});
