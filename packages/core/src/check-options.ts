import { InvalidOptionsError, type Issue } from "./errors/index.ts";
import { nearest } from "./nearest.ts";

/** What an option may be. "any" is checked elsewhere. */
export type OptionKind = keyof typeof kinds;

/** Longest text that an option may be, in characters. */
const longestText = 10_000;

const isObject = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const has = (value: unknown, ...methods: string[]) =>
  ((typeof value === "object" && value !== null) || typeof value === "function") &&
  methods.every((method) => typeof (value as Record<string, unknown>)[method] === "function");

const kinds = {
  any: { isRight: () => true, wanted: "" },
  text: {
    isRight: (value: unknown) =>
      typeof value === "string" && value !== "" && value.length <= longestText && !value.includes("\0"),
    wanted: "must be text without NUL",
  },
  texts: {
    isRight: (value: unknown) => Array.isArray(value) && value.every((each) => typeof each === "string" && each !== ""),
    wanted: "must be an array of texts",
  },
  list: { isRight: (value: unknown) => Array.isArray(value), wanted: "must be an array" },
  logger: {
    isRight: (value: unknown) => has(value, "debug", "info", "warn", "error", "child"),
    wanted: "must have debug(), info(), warn(), error() and child(), as a pino has",
  },
  flag: { isRight: (value: unknown) => typeof value === "boolean", wanted: "must be true or false" },
  function: { isRight: (value: unknown) => typeof value === "function", wanted: "must be a function" },
  object: { isRight: isObject, wanted: "must be an object" },
  schema: {
    isRight: (value: unknown) => has((value as { "~standard"?: unknown } | null)?.["~standard"], "validate"),
    wanted: "must be a Standard Schema, such as one of zod, valibot or arktype",
  },
  pool: {
    isRight: (value: unknown) => has(value, "query", "connect", "on"),
    wanted: "must be a pool of pg",
  },
  queryable: {
    isRight: (value: unknown) => has(value, "query"),
    wanted: "must have query(), as openDatabase() makes it",
  },
  notifications: { isRight: (value: unknown) => has(value, "on"), wanted: "must have on()" },
  signal: { isRight: (value: unknown) => value instanceof EventTarget, wanted: "must be an AbortSignal" },
  cipher: {
    isRight: (value: unknown) => has(value, "seal", "open"),
    wanted: "must be made by createPayloadCipher()",
  },
} satisfies Record<string, { isRight: (value: unknown) => boolean; wanted: string }>;

/** The options of a function, each with what it may be. */
export type OptionKinds<Options> = { readonly [Name in keyof Required<Options>]: OptionKind };

/**
 * Returns an issue for each option that is unknown, or is of the wrong type. An option that was
 * ignored silently would be a setting that nobody chose. An option that is undefined is one that is
 * not given. `elsewhere` says of options that people expect what to give in their place.
 */
export function optionIssues(
  what: string,
  given: unknown,
  known: Readonly<Record<string, OptionKind>>,
  elsewhere: Readonly<Record<string, string>> = {},
): Issue[] {
  if (!isObject(given)) return [{ path: [], message: `must be an object with options, not ${shown(given)}` }];
  return Object.entries(given).flatMap(([name, value]): Issue[] => {
    if (value === undefined) return [];
    const kind = Object.hasOwn(known, name) ? kinds[known[name]!] : undefined;
    if (!kind && Object.hasOwn(elsewhere, name))
      return [{ path: [name], message: `is not an option of ${what}: ${elsewhere[name]}` }];
    if (!kind) return [unknownOption(what, name, Object.keys(known))];
    if (kind.isRight(value)) return [];
    return [{ path: [name], message: `${kind.wanted}, not ${shown(value)}` }];
  });
}

/**
 * Throws {@link InvalidOptionsError} with every option of `given` that is unknown, or is of the
 * wrong type.
 */
export function checkOptions(what: string, given: unknown, known: Readonly<Record<string, OptionKind>>): void {
  if (!isObject(given) || !areRight(given, known))
    throw new InvalidOptionsError(what, optionIssues(what, given, known));
}

/** The same without a list: enqueueing in bulk asks for each job. */
function areRight(given: object, known: Readonly<Record<string, OptionKind>>): boolean {
  for (const name of Object.keys(given)) {
    const value: unknown = (given as Record<string, unknown>)[name];
    if (value !== undefined && !(Object.hasOwn(known, name) && kinds[known[name]!].isRight(value))) return false;
  }
  return true;
}

/** An issue that names the option that was perhaps meant, and those that there are. */
export function unknownOption(what: string, name: string, known: readonly string[]): Issue {
  const lower = name.toLowerCase();
  const meant = known.find((each) => each.toLowerCase() === lower) ?? nearest(name, known);
  const advice = meant === undefined ? "" : ` Did you mean ${meant}?`;
  return {
    path: [name.slice(0, 80)],
    message: `is not an option of ${what}.${advice} The options are ${known.join(", ")}`,
  };
}

/** Not its content, which may be a secret. */
function shown(value: unknown): string {
  if (value === null || typeof value === "number" || typeof value === "boolean") return String(value);
  if (value === "") return "an empty text";
  if (value === undefined) return "undefined";
  return Array.isArray(value) ? "an array" : typeof value === "string" ? "a text" : `a ${typeof value}`;
}
