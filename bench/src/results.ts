import type { Metric } from "./scenario.ts";
import { median } from "./statistics.ts";

/** The medians of one adapter in one scenario, and each run's figures. */
export interface AdapterResult {
  readonly adapter: string;
  readonly medians: Readonly<Record<string, number>>;
  readonly runs: readonly Readonly<Record<string, number>>[];
  /** Why it has no figures, if a run failed. */
  readonly failure?: string;
}

export interface ScenarioResult {
  readonly scenario: string;
  readonly title: string;
  readonly metrics: readonly Metric[];
  readonly adapters: readonly AdapterResult[];
}

/** Medians by metric over the runs of one adapter. */
export function mediansOf(
  metrics: readonly Metric[],
  runs: readonly Readonly<Record<string, number>>[],
): Record<string, number> {
  const medians: Record<string, number> = {};
  for (const { key } of metrics) {
    const values = runs.flatMap((run) => (run[key] === undefined ? [] : [run[key]]));
    if (values.length) medians[key] = median(values);
  }
  return medians;
}

/** Ours over a peer's, by metric; left out where one of both has no figure or the peer's is 0. */
export function ratiosTo(
  ours: Readonly<Record<string, number>> | undefined,
  peers: Readonly<Record<string, number>>,
): Record<string, number> {
  const ratios: Record<string, number> = {};
  for (const [key, peer] of Object.entries(peers)) {
    const our = ours?.[key];
    if (our !== undefined && peer !== 0) ratios[key] = our / peer;
  }
  return ratios;
}

/** A Markdown table of a scenario: a row for each adapter, and beside each figure how ours stands to it. */
export function tableOf({ title, metrics, adapters }: ScenarioResult): string {
  const ours = adapters.find(({ adapter }) => adapter === "hark")?.medians;
  const header = [
    "adapter",
    ...metrics.flatMap(({ label, unit }) => [unit ? `${label}, ${unit}` : label, "hark : it"]),
  ];
  const rows = adapters.map(({ adapter, medians, failure }) => {
    if (failure !== undefined) return [adapter, `failed: ${failure}`, ...metrics.slice(1).flatMap(() => ["", ""]), ""];
    const ratios = ratiosTo(ours, medians);
    return [
      adapter,
      ...metrics.flatMap(({ key }) => [figure(medians[key]), ratio(adapter === "hark" ? undefined : ratios[key])]),
    ];
  });
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [`### ${title}`, "", line(header), line(header.map((_, n) => (n ? "--:" : "---"))), ...rows.map(line)].join(
    "\n",
  );
}

/** Three digits that matter, as people read them. */
export function figure(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return "";
  const digits = Math.abs(value) >= 100 || value === 0 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function ratio(value: number | undefined): string {
  return value === undefined || !Number.isFinite(value) ? "" : `${value.toFixed(2)}x`;
}

/** The adapters of a repetition: every other one in reverse, so that none always runs on the warmer machine. */
export function orderOf<Adapter>(adapters: readonly Adapter[], repetition: number): readonly Adapter[] {
  return repetition % 2 === 0 ? adapters : adapters.toReversed();
}
