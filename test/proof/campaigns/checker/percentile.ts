/** The value below which the given share of all is, by nearest rank; 0 of none. */
export function percentile(values: readonly number[], share: number): number {
  const inOrder = values.toSorted((one, other) => one - other);
  return inOrder[Math.min(Math.floor(inOrder.length * share), inOrder.length - 1)] ?? 0;
}
