import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { commandTable } from "../../packages/cli/dist/command-table.js";
import { commonFlags } from "../../packages/cli/dist/command.js";
import { parseFlags, splitCommand } from "../../packages/cli/dist/parse-arguments.js";
import { blocksOf, documents, nameOf, proofOf, root } from "./blocks.ts";

/* Commands for the reader's own project. They cannot run here, but they must exist. */

const shown = documents()
  .flatMap(blocksOf)
  .filter((block) => proofOf(block) === "usage");
const published = new Set(
  documents()
    .filter((file) => /^packages\/[\w-]+\/README\.md$/.test(file))
    .map((file) => manifestOf(file.replace("README.md", "package.json")).name),
);

describe("a command that is shown exists", () => {
  test.for(shown.map((block) => [nameOf(block), block.text] as const))("%s", async ([, text]) => {
    for (const line of text.trim().split("\n")) expect(await flawOf(line), line).toBeUndefined();
  });
});

test("an unknown command, option or package is found", async () => {
  expect(await flawOf("npx hark emigrate")).toMatch(/no command/);
  expect(await flawOf("npx hark migrate --force")).toMatch(/force/);
  expect(await flawOf("npm install left-pad")).toMatch(/not published/);
  expect(await flawOf("npx -y pnpm@12 run nothing")).toMatch(/no script/);
  expect(await flawOf("make")).toMatch(/no check fits/);
});

/** Returns what is wrong with a command line, or undefined if nothing is. */
async function flawOf(line: string): Promise<string | undefined> {
  const [, command = ""] = /^(?:[A-Z_]+=\S+ )*(.*)$/.exec(line) ?? [];
  const words = command.split(/\s+/);
  if (command.startsWith("npm install ")) {
    const unknown = words.slice(2).filter((name) => !published.has(name));
    return unknown.length > 0 ? `${unknown.join(", ")} is not published` : undefined;
  }
  if (/^npx (pg-)?hark /.test(command)) return flawOfHark(words.slice(2));
  if (/^npx -y pnpm@12 run \w/.test(command)) {
    const { scripts = {} } = manifestOf("package.json");
    return Object.hasOwn(scripts, words[4]!) ? undefined : `there is no script ${words[4]}`;
  }
  if (/^npx -y pnpm@12 install$|^npx drizzle-kit generate /.test(command)) return undefined;
  return "no check fits it";
}

async function flawOfHark(args: string[]): Promise<string | undefined> {
  const { words, rest } = splitCommand(args, commandTable);
  const name = words.join(" ");
  const entry = Object.hasOwn(commandTable, name) ? commandTable[name] : undefined;
  if (!entry) return `there is no command ${name}`;
  const { flags } = await entry.load();
  try {
    parseFlags(rest, { ...commonFlags, ...flags }, `hark ${name}`);
    return undefined;
  } catch (error) {
    return String(error);
  }
}

function manifestOf(file: string): { name: string; scripts?: Record<string, string> } {
  return JSON.parse(readFileSync(root + file, "utf8")) as { name: string; scripts?: Record<string, string> };
}
