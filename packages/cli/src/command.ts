import type { ExitCode } from "./exit-codes.ts";
import type { Output } from "./output.ts";

export interface Flag {
  readonly type: "string" | "boolean";
  /** What stands for its value in --help. */
  readonly value?: string;
  readonly help: string;
}

export type Flags = Readonly<Record<string, Flag>>;

export type Values<Given extends Flags> = {
  readonly [Name in keyof Given]?: Given[Name]["type"] extends "boolean" ? boolean : string;
};

/** Every command takes these. */
export const commonFlags = {
  url: {
    type: "string",
    value: "<url>",
    help: "the database; better kept in the environment, where `ps` cannot see it",
  },
  "url-file": { type: "string", value: "<file>", help: "a file with the database's URL, such as a mounted secret" },
  json: { type: "boolean", help: "one JSON document on stdout, and nothing else" },
  help: { type: "boolean", help: "show this" },
} as const satisfies Flags;

export interface Call<Given extends Flags> {
  readonly values: Values<Given & typeof commonFlags>;
  /** What is neither the command nor a flag. */
  readonly words: readonly string[];
  readonly output: Output;
}

export interface CommandText {
  /** --help opens with them. */
  readonly examples: readonly [string, string];
  /** The words it takes, as in "<type> <json>". */
  readonly usage: string;
  readonly about: string;
  readonly words: { readonly least: number; readonly most: number };
  readonly flags: Flags;
  /** It ends in its own way on SIGINT; the others just end. */
  readonly handlesSignals?: boolean;
}

export interface Command extends CommandText {
  run(call: Call<Flags>): Promise<ExitCode>;
}

/** Gives `run` the values that its own flags promise. */
export function command<const Given extends Flags>(
  spec: CommandText & { flags: Given; run(call: Call<Given>): Promise<ExitCode> },
): Command {
  return spec;
}
