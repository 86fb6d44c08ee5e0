import { type Random, shuffled } from "../../support/random.ts";

/** Which session moves next, from the first move to the last. */
export type Order = readonly string[];

/**
 * Returns in how many orders sessions with these steps can be merged: a multinomial, 63 million for
 * four sessions of four steps.
 */
export function countOrders(steps: Readonly<Record<string, number>>): number {
  let count = 1;
  let total = 0;
  for (const own of Object.values(steps)) {
    for (let step = 1; step <= own; step += 1) {
      total += 1;
      count = (count * total) / step; // always a whole number: a product of binomials
    }
  }
  return Math.round(count);
}

/**
 * Returns the orders to run: all if there are at most `most`, otherwise that many different ones
 * drawn by `random`. They are shuffled, so that a broken order comes early wherever it is in the
 * list.
 */
export function chooseOrders(steps: Readonly<Record<string, number>>, most: number, random: Random): Order[] {
  if (countOrders(steps) <= most) return shuffled(random, allOrders(steps));
  const moves = Object.entries(steps).flatMap(([session, own]) => Array.from({ length: own }, () => session));
  const drawn = new Map<string, Order>();
  while (drawn.size < most) {
    const order = shuffled(random, moves); // every merge is equally likely
    drawn.set(order.join(), order);
  }
  return [...drawn.values()];
}

function allOrders(steps: Readonly<Record<string, number>>): Order[] {
  const open = Object.entries(steps).filter(([, own]) => own > 0);
  if (open.length === 0) return [[]];
  return open.flatMap(([session, own]) =>
    allOrders({ ...steps, [session]: own - 1 }).map((rest) => [session, ...rest]),
  );
}
