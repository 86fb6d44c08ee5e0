/**
 * Random numbers from a seed. The same seed gives the same numbers on every machine, so that a shop
 * can be made again.
 */
export interface Random {
  /** A number from 0 up to, but not including, 1. */
  next(): number;
  /** A whole number from `min` to `max`, both included. */
  integer(min: number, max: number): number;
  /** True with this probability, from 0 to 1. */
  chance(share: number): boolean;
  pick<T>(list: readonly [T, ...T[]]): T;
  /** A copy of the list in another order. */
  shuffle<T>(list: readonly T[]): T[];
}

export function createRandom(seed: number): Random {
  const next = mulberry32(seed);
  const integer = (min: number, max: number) => min + Math.floor(next() * (max - min + 1));
  return {
    next,
    integer,
    chance: (share) => next() < share,
    pick: (list) => list[integer(0, list.length - 1)] ?? list[0],
    shuffle(list) {
      const keyed = list.map((item) => ({ item, order: next() }));
      return keyed.toSorted((a, b) => a.order - b.order).map(({ item }) => item);
    },
  };
}

/** Mulberry32, by Tommy Ettinger (public domain); its constants are part of the algorithm. */
function mulberry32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
