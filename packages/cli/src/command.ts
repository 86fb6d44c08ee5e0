import type { ExitCode } from "./exit-codes.ts";
import type { Output } from "./output.ts";

export interface Flag {
  readonly type: "string" | "boolean";
  /** The placeholder for its value in --help. */
  readonly value?: string;
  readonly help: string;
}

export type Flags = Readonly<Record<string, Flag>>;

export type Values<Given extends Flags> = {
  readonly [Name in keyof Given]?: Given[Name]["type"] extends "boolean" ? boolean : string;
};

/** The flags that every command has. */
export const commonFlags = {
  url: {
    type: "string",
    value: "<url>",
    help: "URL of the database; prefer an environment variable, since `ps` shows arguments",
  },
  "url-file": { type: "string", value: "<file>", help: "file that holds the database's URL, such as a mounted secret" },
  json: { type: "boolean", help: "print one JSON document on stdout, and nothing else" },
  help: { type: "boolean", help: "show this help" },
} as const satisfies Flags;

export interface Call<Given extends Flags> {
  readonly values: Values<Given & typeof commonFlags>;
  /** The arguments that are neither the command nor a flag. */
  readonly words: readonly string[];
  readonly output: Output;
}

export interface CommandText {
  /** Shown at the top of --help. */
  readonly examples: readonly [string, string];
  /** The arguments of the command, as in "<type> <json>". */
  readonly usage: string;
  readonly about: string;
  readonly words: { readonly least: number; readonly most: number };
  readonly flags: Flags;
  /** True if the command handles SIGINT itself. Other commands exit at once. */
  readonly handlesSignals?: boolean;
}

export interface Command extends CommandText {
  run(call: Call<Flags>): Promise<ExitCode>;
}

/** Defines a command, and gives its `run` values typed by its own flags. */
export function command<const Given extends Flags>(
  spec: CommandText & { flags: Given; run(call: Call<Given>): Promise<ExitCode> },
): Command {
  return spec;
}
