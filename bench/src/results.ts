import type { Metric } from "./scenario.ts";
import { median } from "./statistics.ts";

type Figures = Readonly<Record<string, number>>;

interface Runs {
  readonly adapter: string;
  /** Each run's figures, also those that no table shows. */
  readonly runs: readonly Figures[];
}

/** One adapter in one scenario: the medians of its runs or, if one run failed, the reason. */
export type AdapterResult = Runs &
  ({ readonly medians: Figures; readonly failure?: never } | { readonly failure: string; readonly medians?: never });

export interface ScenarioResult {
  readonly scenario: string;
  readonly title: string;
  readonly metrics: readonly Metric[];
  readonly adapters: readonly AdapterResult[];
}

/**
 * Combines the runs of an adapter. One failed run voids them all: a median of the lucky runs is not
 * a figure.
 */
export function resultOf(
  adapter: string,
  metrics: readonly Metric[],
  runs: readonly Figures[],
  failure: string | undefined,
): AdapterResult {
  if (failure !== undefined) return { adapter, runs, failure };
  return { adapter, runs, medians: mediansOf(metrics, runs) };
}

/** Medians of one adapter's runs, by metric. A metric is left out if no run has a finite figure. */
export function mediansOf(metrics: readonly Metric[], runs: readonly Figures[]): Record<string, number> {
  const medians: Record<string, number> = {};
  for (const { key } of metrics) {
    const values = runs.flatMap((run) => (Number.isFinite(run[key]) ? [run[key]!] : []));
    if (values.length) medians[key] = median(values);
  }
  return medians;
}

/**
 * Hark's figures over a peer's, by metric. A metric is left out if either failed or has no figure,
 * or the peer's is 0.
 */
export function ratiosTo(ours: AdapterResult | undefined, peer: AdapterResult): Record<string, number> {
  const ratios: Record<string, number> = {};
  for (const [key, value] of Object.entries(peer.medians ?? {})) {
    const our = ours?.medians?.[key];
    if (our !== undefined && value !== 0) ratios[key] = our / value;
  }
  return ratios;
}

/** A Markdown table of a scenario: a row for each adapter, with Hark's ratio beside each figure. */
export function tableOf({ title, metrics, adapters }: ScenarioResult): string {
  const ours = adapters.find(({ adapter }) => adapter === "hark");
  const header = [
    "adapter",
    ...metrics.flatMap(({ label, unit }) => [unit ? `${label}, ${unit}` : label, "hark : it"]),
  ];
  const rows = adapters.map((result) => {
    const { adapter, medians, failure } = result;
    if (failure !== undefined) return [adapter, failed(failure)];
    const ratios = ratiosTo(ours, result);
    return [
      adapter,
      ...metrics.flatMap(({ key }) => [figure(medians[key]), ratio(adapter === "hark" ? undefined : ratios[key])]),
    ];
  });
  return `### ${title}\n\n${markdownTable(header, rows)}`;
}

/** Why an adapter has no figures, for a cell of a table. */
export function failed(failure: string): string {
  return `failed: ${failure.split("\n", 1)[0]!.replaceAll("|", String.raw`\|`)}`;
}

/**
 * A Markdown table as the formatter leaves it: the first column aligned left, the others right.
 * Short rows are padded.
 */
export function markdownTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [header, ...rows];
  const widths = header.map((_, column) => Math.max(3, ...lines.map((cells) => (cells[column] ?? "").length)));
  const line = (cells: readonly string[]) =>
    `| ${widths.map((width, column) => (column ? (cells[column] ?? "").padStart(width) : cells[0]!.padEnd(width))).join(" | ")} |`;
  const rule = widths.map((width, column) => (column ? `${"-".repeat(width - 1)}:` : "-".repeat(width)));
  return [line(header), `| ${rule.join(" | ")} |`, ...rows.map(line)].join("\n");
}

/** A figure with three significant digits, for people to read. */
export function figure(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return "";
  const digits = Math.abs(value) >= 100 || value === 0 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function ratio(value: number | undefined): string {
  return value === undefined || !Number.isFinite(value) ? "" : `${value.toFixed(2)}x`;
}

/**
 * The adapters of a round. Every second round is in reverse, so that none always runs on the warmer
 * machine.
 */
export function orderOf<Adapter>(adapters: readonly Adapter[], round: number): readonly Adapter[] {
  return round % 2 === 0 ? adapters : adapters.toReversed();
}
