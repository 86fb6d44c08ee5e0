import { bottleneckOf, type Load } from "./bottleneck.ts";
import { describeTogether } from "./conditions.ts";
import type { KeptResult } from "./kept-result.ts";
import { failed, figure, markdownTable } from "./results.ts";

const columns: readonly [label: string, key: string][] = [
  ["jobs/s", "perSecond"],
  ["server, cores", "serverCores"],
  ["workers, cores", "workerCores"],
  ["producers, cores", "producerCores"],
  ["WAL, MiB/s", "walMiBPerSecond"],
  ["flushes/s", "flushesPerSecond"],
];

/** A row for each step of the scenario `scale`: its rate, and its bottleneck. */
export function scaleSection(all: readonly KeptResult[]): string {
  const steps = all.filter(({ scenario }) => scenario.startsWith("scale:"));
  if (steps.length === 0) return "Not measured yet: `pnpm bench scale`.";
  const rows = steps.map(({ title, adapters: [hark] }) => {
    const medians = hark?.medians;
    if (!medians) return [title, failed(hark?.failure ?? "not measured")];
    const load: Load = {
      machineCpu: medians["machineCpu"] ?? 0,
      walFlush: medians["walFlush"] ?? 0,
      locks: medians["locks"] ?? 0,
      nodeThread: medians["nodeThread"] ?? 0,
    };
    return [title, ...columns.map(([, key]) => figure(medians[key])), bottleneckOf(load)];
  });
  const answers = steps.flatMap(({ title, adapters: [hark] }) => {
    const { p50Ms, p99Ms, poolerCores } = hark?.medians ?? {};
    if (p50Ms === undefined) return [];
    const pooler = poolerCores === undefined ? "" : `; the pooler took ${figure(poolerCores)} cores`;
    return [`- ${title}: a call is answered in ${figure(p50Ms)} ms (p50), ${figure(p99Ms)} ms (p99)${pooler}.`];
  });
  return [
    markdownTable(["step", ...columns.map(([label]) => label), "what is full first"], rows),
    ...(answers.length ? [answers.join("\n")] : []),
    describeTogether(steps.map(({ conditions }) => conditions)),
  ].join("\n\n");
}
