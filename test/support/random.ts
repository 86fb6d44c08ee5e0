/**
 * A generator of numbers from a seed: from 0 up to, but not including, 1. The same seed gives the
 * same numbers.
 */
export type Random = () => number;

/** mulberry32: small, and good enough for random choices. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/**
 * A seed that changes from run to run. TEST_SEED sets it, to repeat a run. Tests put it into their
 * failure messages.
 */
export function seedOfRun(): number {
  const given = process.env["TEST_SEED"];
  return given ? Number(given) : Math.trunc(Math.random() * 2 ** 31);
}

export function pick<Item>(random: Random, items: readonly Item[]): Item {
  return items[Math.trunc(random() * items.length)] as Item;
}

export function shuffled<Item>(random: Random, items: readonly Item[]): Item[] {
  return items
    .map((item) => ({ item, place: random() }))
    .toSorted((one, other) => one.place - other.place)
    .map(({ item }) => item);
}
