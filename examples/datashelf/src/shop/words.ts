/**
 * The words that the shop's books are made of. Some need escaping in HTML, some are outside ASCII,
 * as in any real shop.
 */
export const categories = [
  "Crime & Mystery",
  "Science Fiction",
  "History",
  "Poetry",
  "Travel",
  "Children's Books",
  "Cookery",
  "Nature",
  "Biography",
  "Philosophy",
] as const;

export const adjectives = [
  "Silent",
  "Crooked",
  "Last",
  "Borrowed",
  "Salt-Stained",
  "Winter",
  "Patient",
  "Burning",
  "Forgotten",
  "Unwritten",
  "Second",
  "Hollow",
  "Gentle",
  "Restless",
  "Copper",
  "Distant",
] as const;

export const nouns = [
  "Harbour",
  "Lantern",
  "Orchard",
  "Cartographer",
  "Archive",
  "Sparrow",
  "Lighthouse",
  "Kettle",
  "Meridian",
  "Garden",
  "Clockmaker",
  "Estuary",
  "Violin",
  "Attic",
  "Telegraph",
  "Snowfield",
  "Ferryman",
  "Almanac",
] as const;

export const places = [
  "Aarhus",
  "Lübeck",
  "São Tomé",
  "Galway",
  "Łódź",
  "Trieste",
  "Málaga",
  "Tórshavn",
  "the Hebrides",
  "Old Delhi",
] as const;

export const givenNames = [
  "Ada",
  "Brigid",
  "Chidi",
  "Édouard",
  "Fatima",
  "Ingrid",
  "Jun",
  "Leopold",
  "María",
  "Noor",
  "Oskar",
  "Søren",
  "Wanjiru",
] as const;

export const familyNames = [
  "Achterberg",
  "O'Connell",
  "Díaz",
  "Eriksen",
  "Fairweather",
  "Grabowska",
  "Hallström",
  "Ishikawa",
  "Okonkwo",
  "Petrov",
  "Quill & Daughter",
  "Ó Súilleabháin",
] as const;

export const openings = [
  "A letter arrives forty years late, and a family has to learn its own history again.",
  "Nobody in the village remembers who built the tower, or why its door opens inwards & only at low tide.",
  "Two sisters inherit a shop, a debt and a map with one street too many.",
  "What begins as a walk along the coast becomes an account of everything the sea has taken.",
  "The author spent a decade among people who repair what others throw away.",
] as const;

export const middles = [
  "Told in short chapters, it asks what we owe to places we have left.",
  "It is funny in the manner of a good funeral: at the wrong moments, and to everyone's relief.",
  "Maps, recipes and letters are printed in full; margins < 2 cm were the printer's only regret.",
  'The notes alone are worth the price, as "The Evening Courier" wrote.',
  "Readers of the first volume will find old friends; new readers will not miss a thing.",
] as const;

export const closings = [
  "With an afterword by the translator.",
  "Shortlisted for three prizes, winner of none.",
  "Second edition, with corrections — and a few new mistakes.",
  "Illustrated throughout.",
  "Set in Garamond on paper made at the author's insistence.",
] as const;
