import { isbnCheckDigit } from "../isbn.ts";
import type { Random } from "./random.ts";
import { adjectives, closings, familyNames, givenNames, middles, nouns, openings, places } from "./words.ts";

/** A book as the shop stores it. */
export interface ShopBook {
  slug: string;
  title: string;
  author: string;
  isbn: string;
  /** In pence or cents. */
  priceMinor: number;
  currency: "GBP" | "EUR";
  /** From 1.0 to 5.0 in tenths. */
  rating: number;
  /** Copies in stock; 0 is out of stock. */
  stock: number;
  paragraphs: string[];
}

/** Makes this many books. No two have the same slug or ISBN. */
export function makeBooks(random: Random, count: number): ShopBook[] {
  const slugs = new Set<string>();
  return Array.from({ length: count }, (_, at) => {
    const title = makeTitle(random);
    const slug = freeSlug(slugOf(title), slugs);
    slugs.add(slug);
    return {
      slug,
      title,
      author: `${random.pick(givenNames)} ${random.pick(familyNames)}`,
      isbn: makeIsbn(random, at),
      priceMinor: random.integer(3, 45) * 100 + random.pick([0, 49, 50, 95, 99]),
      currency: random.chance(0.1) ? "EUR" : "GBP",
      rating: random.integer(10, 50) / 10,
      stock: random.chance(0.15) ? 0 : random.integer(1, 40),
      paragraphs: [`${random.pick(openings)} ${random.pick(middles)}`, random.pick(closings)],
    };
  });
}

/** Returns a slug for URLs: lower-case ASCII letters and digits with hyphens between words. */
export function slugOf(text: string): string {
  const ascii = text
    .replaceAll("ł", "l")
    .replaceAll("Ł", "L")
    .replaceAll("ø", "o")
    .normalize("NFD")
    .replaceAll(/\p{M}/gu, "");
  return ascii
    .toLowerCase()
    .replaceAll(/['’]/g, "")
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-+|-+$/g, "");
}

function makeTitle(random: Random): string {
  const adjective = random.pick(adjectives);
  const noun = random.pick(nouns);
  switch (random.integer(0, 5)) {
    case 0:
      return `The ${adjective} ${noun}`;
    case 1:
      return `The ${noun} of ${random.pick(places)}`;
    case 2:
      return `${noun} & ${random.pick(nouns)}`;
    case 3:
      return `${random.pick(givenNames)}'s ${adjective} ${noun}`;
    case 4:
      return `"${adjective}": A ${noun} in ${random.pick(places)}`;
    default:
      return `A Short History of the ${noun} <in ${random.integer(3, 12)} Objects>`;
  }
}

function freeSlug(wanted: string, taken: ReadonlySet<string>): string {
  let slug = wanted;
  for (let copy = 2; taken.has(slug); copy += 1) slug = `${wanted}-${copy}`;
  return slug;
}

/**
 * The ISBN contains the book's number, so that no two are equal. 978-1-7 is a real prefix of small
 * publishers.
 */
function makeIsbn(random: Random, at: number): string {
  const twelve = `97817${random.integer(10, 99)}${String(at).padStart(5, "0")}`;
  return twelve + isbnCheckDigit(twelve);
}
