/** Returns the percentile of a share, by nearest rank. 0 without values. */
export function percentile(values: readonly number[], share: number): number {
  const inOrder = values.toSorted((one, other) => one - other);
  return inOrder[Math.min(Math.floor(inOrder.length * share), inOrder.length - 1)] ?? 0;
}
