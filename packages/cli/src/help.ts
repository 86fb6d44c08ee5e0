import { commandTable } from "./command-table.ts";
import { type Command, commonFlags, type Flags } from "./command.ts";
import { exitCodeHelp } from "./exit-codes.ts";

const connectionHelp = `Database (the first of these that is set):
  --url or --url-file, HARK_DATABASE_URL, DATABASE_URL, PGHOST and the other PG* variables
  HARK_LISTEN_URL: a direct URL to PostgreSQL, needed if the database's URL goes through a transaction pooler`;

/** Returns the help for `hark` itself, or for a group of commands such as "dead". */
export function generalHelp(group?: string): string {
  const commands = Object.entries(commandTable).filter(([name]) => group === undefined || name.startsWith(`${group} `));
  const examples =
    group === "dead"
      ? ["hark dead list --limit 10", "hark dead requeue --all --type email.welcome --dry-run"]
      : ["hark work jobs.ts", `hark enqueue email.welcome '{"userId":"u1"}'`];
  return `Examples:
${examples.map((example) => `  ${example}`).join("\n")}

Usage: hark ${group ? `${group} ` : ""}<command> [options]

Commands:
${columns(commands.map(([name, { summary }]) => [name, summary]))}

"hark <command> --help" shows a command's options. "hark --version" shows the version.

${connectionHelp}

${exitCodeHelp}
`;
}

export function commandHelp(name: string, { examples, usage, about, flags }: Command): string {
  return `Examples:
${examples.map((example) => `  ${example}`).join("\n")}

Usage: hark ${name} ${usage ? `${usage} ` : ""}[options]

${about}

Options:
${columns(flagRows({ ...flags, ...commonFlags }))}

${connectionHelp}

${exitCodeHelp}
`;
}

function flagRows(flags: Flags): [string, string][] {
  return Object.entries(flags).map(([name, { value, help }]) => [`--${name}${value ? ` ${value}` : ""}`, help]);
}

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join("\n");
}
