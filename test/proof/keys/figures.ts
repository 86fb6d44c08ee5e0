import { overlaps } from "../campaigns/checker/overlaps.ts";
import type { Study } from "../campaigns/checker/study.ts";
import { outOfOrder } from "./order.ts";

/** What happened, in one line. */
export function lineOf(study: Study, stormMs: number): string {
  const faults = Map.groupBy(study.of("fault"), ({ kind }) => kind);
  const cancelled = Map.groupBy(study.of("cancelled"), ({ wasIn }) => wasIn ?? "too late");
  const starts = study.of("started");
  const { judged, found } = outOfOrder(study);
  const count = (value: number) => value.toLocaleString("en");
  return [
    `${count(study.final.jobs.length)} jobs over ${count(new Set(starts.flatMap(({ key }) => key ?? [])).size)} keys`,
    `${count(starts.length)} runs in ${Math.round(stormMs / 1_000)} s`,
    [...faults].map(([kind, all]) => `${all.length} ${kind}`).join(", "),
    `cancelled: ${[...cancelled].map(([was, all]) => `${all.length} ${was}`).join(", ")}`,
    `${study.of("rolled back").length} rolled back, ${study.of("unknown").length} unanswered`,
    `${overlaps(study, starts).length} overlaps, all judged`,
    `${found.length} of ${count(judged)} runs overtook another of their key`,
    `${study.of("standing").length} times a key stood`,
  ].join("; ");
}
