import { describeTogether } from "./conditions.ts";
import type { KeptResult } from "./kept-result.ts";
import { failed, figure, markdownTable, ratio, ratiosTo } from "./results.ts";

/**
 * The most common questions, shown in the README: a scenario and, if it is not the first, a metric.
 */
const headlines: readonly { scenario: string; metric?: string }[] = [
  { scenario: "steady:8s" },
  { scenario: "drain:1" },
  { scenario: "enqueue:bulk" },
  { scenario: "enqueue:16" },
  { scenario: "enqueue:worker", metric: "wholePerSecond" },
  { scenario: "latency:idle" },
  { scenario: "latency:2000", metric: "p99Ms" },
  { scenario: "latency:2000", metric: "perSecond" },
  { scenario: "wal", metric: "walBytes" },
];

const columns = ["hark", "graphile-worker", "pg-boss", "bullmq-postgresql", "bullmq-redis"];

/** One table for the README with a row for each question, and the results that its chart shows. */
export function performanceSection(all: readonly KeptResult[]): { table: string; headlines: KeptResult[] } {
  const shown = headlines.flatMap(({ scenario, metric: key }) => {
    const result = all.find((one) => one.scenario === scenario);
    const metric = result?.metrics.find((one) => key === undefined || one.key === key);
    return result && metric ? [{ result: { ...result, metrics: [metric] }, metric }] : [];
  });
  const rows = shown.map(({ result: { title, adapters }, metric: { key, label, unit, isLessBetter } }) => {
    const ours = adapters.find(({ adapter }) => adapter === "hark");
    const cells = columns.map((name) => {
      const peer = adapters.find(({ adapter }) => adapter === name);
      if (peer?.medians === undefined) return peer ? failed(peer.failure) : "";
      const value = figure(peer.medians[key]);
      const theRatio = name === "hark" ? "" : ratio(ratiosTo(ours, peer)[key]);
      return theRatio === "" ? value : `${value} (${theRatio})`;
    });
    return [`${title}: ${label}, ${unit}${isLessBetter ? " (less is better)" : ""}`, ...cells];
  });
  const taken = shown.map(({ result: { conditions } }) => conditions);
  return {
    table: `${markdownTable(["", ...columns], rows)}\n\n${describeTogether(taken)}`,
    headlines: shown.map(({ result }) => result),
  };
}
