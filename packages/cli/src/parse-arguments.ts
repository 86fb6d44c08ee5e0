import { parseArgs } from "node:util";
import { nearest } from "@hark/core/text";
import { commonFlags, type Flags } from "./command.ts";
import { UsageError } from "./usage-error.ts";

/** The common flags before the command, the command's one or two words, and everything after it. */
export interface CommandLine {
  readonly leading: readonly string[];
  readonly words: readonly string[];
  readonly rest: readonly string[];
}

/**
 * Finds the command: the first word that is neither a flag nor its value, and the next word if both
 * together name a command.
 */
export function splitCommand(args: readonly string[], table: Readonly<Record<string, unknown>>): CommandLine {
  const { tokens } = parseArgs({
    args: [...args],
    options: commonFlags,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const place = tokens.find(({ kind }) => kind === "positional")?.index ?? args.length;
  const pair = args.slice(place, place + 2);
  const length = Object.hasOwn(table, pair.join(" ")) ? pair.length : Math.min(pair.length, 1);
  return {
    leading: args.slice(0, place),
    words: args.slice(place, place + length),
    rest: args.slice(place + length),
  };
}

export interface ParsedFlags {
  readonly values: Readonly<Record<string, string | boolean | undefined>>;
  readonly positionals: readonly string[];
}

/**
 * Returns flags and words. Throws {@link UsageError} with a suggestion for a flag that the command
 * `name` does not have.
 */
export function parseFlags(args: readonly string[], flags: Flags, name: string): ParsedFlags {
  const options = Object.fromEntries(Object.entries(flags).map(([flag, { type }]) => [flag, { type }]));
  const joined = joinNegativeNumbers(args, flags);
  try {
    const { values, positionals } = parseArgs({ args: joined, options, strict: true, allowPositionals: true });
    return { values, positionals };
  } catch (error) {
    throw new UsageError(complaint(error, joined, flags, name), { cause: undefined });
  }
}

/** Makes `--priority -5` work: parseArgs accepts only `--priority=-5`. */
function joinNegativeNumbers(args: readonly string[], flags: Flags): string[] {
  const joined: string[] = [];
  for (const arg of args) {
    const last = joined.at(-1);
    if (/^-\d/.test(arg) && last?.startsWith("--") && flags[last.slice(2)]?.type === "string") {
      joined[joined.length - 1] = `${last}=${arg}`;
    } else joined.push(arg);
  }
  return joined;
}

function complaint(error: unknown, args: string[], flags: Flags, name: string): string {
  const help = `"${name} --help" lists its options.`;
  const { tokens } = parseArgs({
    args,
    options: Object.fromEntries(Object.entries(flags).map(([flag, { type }]) => [flag, { type }])),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  for (const token of tokens) {
    if (token.kind !== "option") continue;
    const flag = Object.hasOwn(flags, token.name) ? flags[token.name] : undefined;
    if (!flag) {
      if (!token.rawName.startsWith("--")) {
        return `There is no option ${token.rawName}. Put an argument that begins with "-" after "--". ${help}`;
      }
      const meant = nearest(token.name, Object.keys(flags));
      return `There is no option ${token.rawName}.${meant ? ` Did you mean --${meant}?` : ""} ${help}`;
    }
    if (flag.type === "string" && !token.value)
      return `${token.rawName} needs a value: ${token.rawName} ${flag.value ?? "<value>"}. ${help}`;
    if (flag.type === "boolean" && token.value !== undefined) return `${token.rawName} takes no value. ${help}`;
  }
  return `${error instanceof Error ? error.message : String(error)} ${help}`;
}
