import { readFile } from "node:fs/promises";
import { maskSecrets, nearest } from "@hark/core/text";
import { commandTable } from "./command-table.ts";
import { type Command, commonFlags } from "./command.ts";
import { type ExitCode, exitCodes, verdictOn } from "./exit-codes.ts";
import { commandHelp, generalHelp } from "./help.ts";
import { createOutput, printable } from "./output.ts";
import { parseFlags, splitCommand } from "./parse-arguments.ts";
import { UsageError } from "./usage-error.ts";

/**
 * Runs one command line, given without the program's name, and returns the exit code. Never throws.
 */
export async function run(args: readonly string[]): Promise<ExitCode> {
  try {
    return await dispatch(args);
  } catch (error) {
    const { code, message } = verdictOn(error);
    process.stderr.write(`hark: ${printable(message)}\n`);
    if (process.env.LOG_LEVEL === "debug" && error instanceof Error)
      process.stderr.write(`${maskSecrets(error.stack ?? "")}\n`);
    return code;
  }
}

async function dispatch(args: readonly string[]): Promise<ExitCode> {
  const { leading, words, rest } = splitCommand(args, commandTable);
  const [first] = words;
  if (first === undefined) {
    const { values } = parseFlags(leading, { ...commonFlags, version: { type: "boolean", help: "" } }, "hark");
    if (values.version) return print(`${await ownVersion()}\n`);
    if (values.help) return print(generalHelp());
    process.stderr.write(generalHelp());
    return exitCodes.usage;
  }
  const name = words.join(" ");
  if (first === "help") return help(rest);
  const entry = entryOf(name);
  if (!entry) {
    parseFlags(leading, commonFlags, "hark");
    if (isGroup(name) && rest.includes("--help")) return print(generalHelp(name));
    throw unknownCommand(
      name,
      rest.find((arg) => !arg.startsWith("-")),
    );
  }
  const command = await entry.load();
  const { values, positionals } = parseFlags(
    [...leading, ...rest],
    { ...command.flags, ...commonFlags },
    `hark ${name}`,
  );
  if (values.help) return print(commandHelp(name, command));
  checkWords(name, command, positionals);

  const interrupt = () => process.exit(exitCodes.interrupted);
  if (!command.handlesSignals) process.on("SIGINT", interrupt);
  try {
    const output = createOutput({ isJson: values.json === true });
    return await command.run({ values: values as never, words: positionals, output });
  } finally {
    process.off("SIGINT", interrupt);
  }
}

async function help(words: readonly string[]): Promise<ExitCode> {
  const name = words.join(" ");
  if (name === "") return print(generalHelp());
  if (isGroup(name)) return print(generalHelp(name));
  const entry = entryOf(name);
  if (!entry) throw unknownCommand(name);
  return print(commandHelp(name, await entry.load()));
}

function unknownCommand(name: string, next?: string): UsageError {
  const all = Object.keys(commandTable);
  if (isGroup(name)) {
    const inGroup = all.filter((known) => known.startsWith(`${name} `));
    const meant = next && nearest(`${name} ${next}`, inGroup);
    const what = next ? `There is no command "${name} ${next}".` : `"${name}" is a group of commands.`;
    return new UsageError(
      `${what} ${meant ? `Did you mean "hark ${meant}"?` : `Its commands: ${inGroup.join(", ")}.`}`,
    );
  }
  const meant = nearest(name, [
    ...all,
    ...new Set(all.filter((known) => known.includes(" ")).map((known) => known.split(" ")[0]!)),
  ]);
  return new UsageError(
    `There is no command "${name}".${meant ? ` Did you mean "hark ${meant}"?` : ""} "hark --help" lists all commands.`,
  );
}

const entryOf = (name: string) => (Object.hasOwn(commandTable, name) ? commandTable[name] : undefined);

const isGroup = (name: string) => Object.keys(commandTable).some((known) => known.startsWith(`${name} `));

function checkWords(name: string, { words, usage }: Command, given: readonly string[]): void {
  if (given.length >= words.least && given.length <= words.most) return;
  const what = given.length < words.least ? "Too few arguments" : `Unexpected argument "${given[words.most]}"`;
  throw new UsageError(`${what}: use "hark ${name}${usage ? ` ${usage}` : ""}"; "hark ${name} --help" shows examples.`);
}

function print(text: string): ExitCode {
  process.stdout.write(text);
  return exitCodes.ok;
}

async function ownVersion(): Promise<string> {
  const text = await readFile(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
