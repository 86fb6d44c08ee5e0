import { commandTable } from "../../../packages/cli/dist/command-table.js";
import { commonFlags, type Flags } from "../../../packages/cli/dist/command.js";
import { exitCodeHelp } from "../../../packages/cli/dist/exit-codes.js";
import { code, page, table } from "./markdown.ts";

export async function commandsPage(): Promise<string> {
  const sections = await Promise.all(
    Object.entries(commandTable).map(async ([name, { summary, load }]) => {
      const { usage, about, examples, flags } = await load();
      return [
        `## hark ${name}`,
        `${capital(summary)}.`,
        listing([`hark ${name} ${usage ? `${usage} ` : ""}[options]`]),
        "Examples:",
        listing(examples),
        quoted(about),
        ...(Object.keys(flags).length > 0 ? [flagTable(flags)] : []),
      ].join("\n\n");
    }),
  );
  return page(
    "Commands",
    "the command table of @hark/cli",
    "The command `hark` comes with the package. `hark <command> --help` prints this text.",
    [
      ...sections,
      "## Options of every command",
      flagTable(commonFlags),
      "## Exit codes",
      table(
        ["code", "meaning"],
        [...exitCodeHelp.matchAll(/^ {2}(\d+) +(.*)$/gm)].map(([, number = "", meaning = ""]) => [number, meaning]),
      ),
    ],
  );
}

function flagTable(flags: Flags): string {
  return table(
    ["option", "meaning"],
    Object.entries(flags).map(([name, { value, help }]) => [code(`--${name}${value ? ` ${value}` : ""}`), help]),
  );
}

/** Lines to type. They are indented, since the tests do not run them. */
const listing = (lines: readonly string[]): string => lines.map((line) => `    ${line}`).join("\n");

/** Text that keeps its indented listings. */
const quoted = (text: string): string => text.replaceAll(/^ {2}(?=\S)/gm, "    ");

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
