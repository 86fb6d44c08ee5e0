import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { KeptResult } from "./kept-result.ts";
import { draw, keep, keptResults, tablesOf, withSection } from "./report.ts";
import { conditions } from "./testing/conditions.ts";

const resultOf = (scenario: string, perSecond: number, commit: string): KeptResult => ({
  scenario,
  title: `Title of ${scenario}`,
  metrics: [{ key: "perSecond", label: "drained", unit: "jobs/s" }],
  adapters: [{ adapter: "hark", medians: { perSecond }, runs: [{ perSecond }] }],
  conditions: { ...conditions, commit },
});

test("scenarios that run one at a time share one report, each with the conditions of its own run", async () => {
  const folder = await mkdtemp(join(tmpdir(), "hark-bench-report-"));
  const order = ["drain:1", "steady:8s"];
  try {
    await keep(folder, resultOf("steady:8s", 20, "bbbbbbb"));
    await keep(folder, resultOf("drain:1", 10, "ccccccc"));
    await keep(folder, resultOf("drain:1", 11, "ddddddd"));
    await draw(folder, order);

    expect((await keptResults(folder, order)).map(({ scenario }) => scenario)).toEqual(order);
    const tables = await readFile(join(folder, "tables.md"), "utf8");
    const [, drain = "", steady = ""] = tables.split("### ");
    expect(drain).toContain("at commit `ddddddd`");
    expect(drain).toContain(" 11.0 ");
    expect(steady).toContain("at commit `bbbbbbb`");
    const chart = await readFile(join(folder, "chart.svg"), "utf8");
    expect(chart.indexOf("Title of drain:1")).toBeLessThan(chart.indexOf("Title of steady:8s"));
    expect(chart).toContain("Title of drain:1");
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("every table carries date, commit, rounds, machine, durability and versions", () => {
  const tables = tablesOf([resultOf("drain:1", 1, "bbbbbbb"), resultOf("drain:2", 1, "ccccccc")]);
  const parts = tables.split("### ").slice(1);
  expect(parts).toHaveLength(2);
  for (const part of parts) {
    for (const words of [
      "2026-11-24 10:20 UTC",
      "Medians of 3",
      "2 x EPYC",
      "PostgreSQL 18.4 (fsync on)",
      "peer 1.2.3",
    ]) {
      expect(part).toContain(words);
    }
  }
});

test("only the text between a section's marks is replaced", () => {
  const document = "before\n<!-- bench: scale -->\nold\n<!-- bench: end of scale -->\nafter";
  expect(withSection(document, "scale", "new")).toBe(
    "before\n<!-- bench: scale -->\n\nnew\n\n<!-- bench: end of scale -->\nafter",
  );
  expect(() => withSection("nothing", "scale", "new")).toThrow("no section between");
});
