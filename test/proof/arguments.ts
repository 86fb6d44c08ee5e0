import { type Proof, proofs } from "./proofs.ts";

export interface Asked {
  readonly isList: boolean;
  readonly chosen: readonly Proof[];
  /** What follows the names: for the one proof that is named. */
  readonly rest: readonly string[];
}

export const usage = `pnpm run proof [--list] [NAME ...]   all proofs, or some by name
pnpm run proof NAME OPTION ...       one proof, with options for its program or for vitest`;

/**
 * Reads the arguments: names of proofs, and after the first word that is none, what is passed on.
 * Throws an Error with what is wrong in words.
 */
export function parseArguments(argv: readonly string[]): Asked {
  const words = argv.filter((word) => word !== "--"); // pnpm passes it on
  const isName = (word: string) => proofs.some(({ name }) => name === word);
  const end = words.findIndex((word) => !isName(word));
  const names = new Set(end === -1 ? words : words.slice(0, end));
  const rest = end === -1 ? [] : words.slice(end);

  if (rest.includes("--list") || rest.includes("--help")) return { isList: true, chosen: proofs, rest: [] };
  if (rest.length > 0 && names.size !== 1) {
    const known = proofs.map(({ name }) => name).join(", ");
    throw new Error(
      names.size === 0
        ? `There is no proof ${rest[0]}. There are: ${known}.\n${usage}`
        : `${rest[0]} is no proof, and options need exactly one name before them.\n${usage}`,
    );
  }
  const chosen = proofs.filter(({ name, isExcerpt }) => (names.size > 0 ? names.has(name) : !isExcerpt));
  return { isList: false, chosen, rest };
}
