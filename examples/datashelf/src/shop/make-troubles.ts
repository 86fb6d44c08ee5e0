import type { Random } from "./random.ts";

/** How HTML can be broken so that a parser that follows the HTML standard still reads it. */
export const breakages = ["unclosed", "misnested", "stray-bytes", "unquoted", "price-in-meta", "latin1"] as const;
export type Breakage = (typeof breakages)[number];

/** What is wrong with a page of the shop. */
export type Trouble =
  | { kind: "slow"; delayMs: number }
  /** Responds with 503 this many times, then as usual. */
  | { kind: "busy"; refusals: 1 | 2; retryAfterSeconds: 1 | 2; as: "seconds" | "date" }
  | { kind: "gone" }
  | { kind: "failing" }
  | { kind: "broken"; breakage: Breakage }
  | { kind: "unparsable"; lacks: "title" | "price" };

/** The smallest number of pages that has room for every trouble. */
export const fewestTroubledPages = 16;

/**
 * Assigns troubles to some of the pages, about one in six, and never two to one page. Paths are
 * shuffled by the seed, so that the troubles are spread over the whole shop.
 */
export function makeTroubles(random: Random, paths: readonly string[]): Map<string, Trouble> {
  const some = (share: number, atLeast: number) => Math.max(atLeast, Math.round(paths.length * share));
  const wanted: Trouble[] = [
    { kind: "unparsable", lacks: "title" },
    { kind: "unparsable", lacks: "price" },
    { kind: "failing" },
    { kind: "failing" },
    ...Array.from({ length: some(0.01, 2) }, (): Trouble => ({ kind: "gone" })),
    ...Array.from({ length: some(0.04, 2) }, (_, at) => makeBusy(random, at)),
    ...Array.from({ length: some(0.04, 2) }, (): Trouble => ({ kind: "slow", delayMs: random.integer(300, 1500) })),
    ...Array.from({ length: some(0.05, breakages.length) }, (_, at): Trouble => {
      return { kind: "broken", breakage: breakages[at % breakages.length] ?? "unclosed" };
    }),
  ];
  const shuffled = random.shuffle(paths);
  return new Map(wanted.map((trouble, at) => [shuffled[at] ?? "", trouble]));
}

/**
 * Both forms of Retry-After and both numbers of refusals alternate, so that two busy pages show all
 * of them.
 */
export function makeBusy(random: Random, at: number): Trouble {
  return {
    kind: "busy",
    refusals: at % 4 < 2 ? 1 : 2,
    retryAfterSeconds: random.pick([1, 2]),
    as: at % 2 === 0 ? "seconds" : "date",
  };
}
