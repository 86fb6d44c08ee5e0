/** The value below which a share (0 to 1) of all values lies. NaN if there are no values. */
export function percentile(values: ArrayLike<number>, share: number): number {
  const sorted = Float64Array.from(values).toSorted();
  return sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)] ?? Number.NaN;
}

/** The middle value, or the mean of the two in the middle. NaN if there are no values. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle]!;
  return sorted.length === 0 ? Number.NaN : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** A count at a moment. */
export interface Sample {
  readonly atMs: number;
  readonly count: number;
}

/**
 * Counts per second between two shares (0 to 1) of the samples' time. NaN for fewer than two
 * samples.
 */
export function rateBetween(samples: readonly Sample[], from: number, to: number): number {
  const first = samples.at(0);
  const last = samples.at(-1);
  if (!first || !last || first === last) return Number.NaN;
  const spanMs = last.atMs - first.atMs;
  const countAt = (share: number): number => countAtMs(samples, first.atMs + spanMs * share);
  return (countAt(to) - countAt(from)) / ((spanMs * (to - from)) / 1_000);
}

/** The count at a moment, interpolated between the samples around it. */
function countAtMs(samples: readonly Sample[], atMs: number): number {
  const next = samples.findIndex((sample) => sample.atMs >= atMs);
  if (next === -1) return samples.at(-1)!.count;
  if (next === 0) return samples[0]!.count;
  const before = samples[next - 1]!;
  const after = samples[next]!;
  return before.count + ((after.count - before.count) * (atMs - before.atMs)) / (after.atMs - before.atMs);
}
