import { readFileSync } from "node:fs";
import { blocksOf, root } from "../docs/blocks.ts";

const file = "test/datashelf/contract.md";
const lines = readFileSync(root + file, "utf8").split("\n");

/** The line of a heading, counted from 1, and that of the next one. */
function spanOf(heading: string): [from: number, to: number] {
  const from = lines.indexOf(`## ${heading}`) + 1;
  if (from === 0) throw new Error(`${file} has no heading ${heading}`);
  const next = lines.findIndex((line, place) => place >= from && line.startsWith("## "));
  return [from, next === -1 ? lines.length : next];
}

/** Returns the text of a code block below a heading, the first of its language. */
export function block(heading: string, language: string): string {
  const [from, to] = spanOf(heading);
  const found = blocksOf(file).find(({ line, language: of }) => of === language && line > from && line <= to);
  if (!found) throw new Error(`${file} has no ${language} block below ${heading}`);
  return found.text;
}

/** Returns the lines of a list below a heading. */
export function listOf(heading: string): string[] {
  const [from, to] = spanOf(heading);
  return lines.slice(from, to).filter((line) => line.startsWith("- "));
}

/** Returns the command lines of a bash block, without comments. */
export function commandsOf(heading: string): string[] {
  return block(heading, "bash")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));
}

/**
 * A request as its http block shows it. `answer` is the example of the response, if it shows one.
 */
export interface ShownRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string | undefined;
  readonly answer: unknown;
}

export function requestOf(heading: string): ShownRequest {
  const [request = "", answer] = block(heading, "http").split("\nResponse:\n");
  const [head = "", body] = request.split("\n\n");
  const [first = "", ...headers] = head.trim().split("\n");
  const [method = "", path = ""] = first.split(" ");
  return {
    method,
    path,
    headers: Object.fromEntries(headers.map((line) => line.split(": ") as [string, string])),
    body: body?.trim() || undefined,
    answer: answer === undefined ? undefined : JSON.parse(answer),
  };
}

/**
 * A program of the contract's blocks. Its imports come from pg-hark, and each block has a scope of
 * its own, since several declare one name.
 */
export function programOf(...parts: string[]): string {
  const imports = `import { type Job, JobManager, type JobResult, PostgresQueue } from "pg-hark";\n`;
  return `${imports}${parts.join("\n").replaceAll(/^import .* from '\.\/.*';$/gm, "")}\nexport {};\n`;
}

export const scoped = (text: string): string => `{\n${text}\n}`;
