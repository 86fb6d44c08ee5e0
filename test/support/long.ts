/**
 * The long mode of the tests that repeat. LONG=1 runs the full numbers of the requirements,
 * LONG=0.1 a tenth of them. Without it, a few rounds show in seconds that the test works.
 */
const share = Number(process.env["LONG"] ?? 0);
if (!(share >= 0)) throw new Error(`LONG is the share of the full figures to run, like 1 or 0.1, not ${share}`);

/** Whether the full numbers are asked for, or a share of them. */
export const isLong: boolean = share > 0;

/**
 * How often to repeat: in the long mode `full` times or the share of it that was asked for,
 * otherwise `few` times.
 */
export function repeats({ few, full }: { few: number; full: number }): number {
  return isLong ? Math.max(1, Math.ceil(full * share)) : few;
}

/**
 * The value below which the share `part` of the values lies: 0.99 is the 99th percentile, 1 the
 * greatest.
 */
export function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? Number.NaN;
}

/** Prints a test's figures for people, on one line. */
export function tell(what: string, times: readonly number[] = []): void {
  const line = [0.5, 0.99, 1].map((part) => Math.round(percentile(times, part)));
  const spread = times.length > 0 ? `: p50 ${line[0]} ms, p99 ${line[1]} ms, longest ${line[2]} ms` : "";
  process.stdout.write(`${what}${spread}\n`);
}
