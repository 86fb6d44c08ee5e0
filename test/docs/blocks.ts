import { globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../", import.meta.url));

/** A fenced code block of a document. */
export interface Block {
  document: string;
  /** Line of its opening fence, counted from 1. */
  line: number;
  language: string;
  /**
   * Words of its info string after the language: `run`, `check`, `file=PATH`, `terminal=NAME`,
   * `example`, `shown`, `project=NAME/FILE`, `project=NAME`.
   */
  info: Record<string, string>;
  text: string;
}

/** The ways in which a block is proven. A block that fits none of them is an error. */
export type Proof =
  | "file"
  | "program"
  | "types"
  | "command"
  | "terminal"
  | "example"
  | "usage"
  | "sql"
  | "query"
  | "project"
  | "diagram";

/**
 * The documents' paths from the root, in the order in which their commands run: README.md, the
 * tutorial, the rest of docs/, then those for contributors and for users of one package.
 */
export function documents(): string[] {
  const docs = globSync("docs/**/*.md", { cwd: root }).toSorted();
  const isTutorial = (file: string) => file.startsWith("docs/tutorial/");
  return [
    "README.md",
    ...docs.filter(isTutorial),
    ...docs.filter((file) => !isTutorial(file)),
    ...globSync(["ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "DEPENDENCIES.md", "SECURITY.md"], {
      cwd: root,
    }),
    ...globSync("packages/*/README.md", { cwd: root }).toSorted(),
  ];
}

export function blocksOf(document: string): Block[] {
  const blocks: Block[] = [];
  let open: Block | undefined;
  for (const [index, line] of readFileSync(root + document, "utf8")
    .split("\n")
    .entries()) {
    if (open && line === "```") {
      blocks.push(open);
      open = undefined;
    } else if (open) open.text += `${line}\n`;
    else if (line.trimStart().startsWith("```")) {
      const [language = "", ...words] = line.trim().slice(3).split(/\s+/);
      open = { document, line: index + 1, language, info: Object.fromEntries(words.map(keyAndValue)), text: "" };
    }
  }
  if (open) throw new Error(`${document}: the block in line ${open.line} is not closed`);
  return blocks;
}

/** The text of a document outside its blocks. */
export function proseOf(document: string): string {
  return readFileSync(root + document, "utf8").replaceAll(/^```[^]*?^```$/gm, "");
}

/** Returns how a block is proven, or undefined if no way fits it. */
export function proofOf({ language, info }: Block): Proof | undefined {
  const [first, ...more] = Object.keys(info);
  if (more.length > 0) return undefined;
  if (first === "project") return "project"; // made and run by `pnpm run proof install`
  switch (`${language} ${first ?? ""}`.trim()) {
    case "ts file":
      return "file";
    case "ts run":
      return "program";
    case "ts check":
      return "types";
    case "sh":
      return "command";
    case "sh terminal":
      return "terminal";
    case "sh example":
      return "example";
    case "sh shown":
      return "usage";
    case "sql":
      return "sql";
    case "sql check":
      return "query";
    case "mermaid":
      return "diagram";
    default:
      return undefined;
  }
}

export function nameOf({ document, line, text }: Block): string {
  return `${document}:${line} ${text.trim().split("\n", 1)[0]!.slice(0, 70)}`;
}

function keyAndValue(word: string): [string, string] {
  const [key = "", ...value] = word.split("=");
  return [key, value.join("=")];
}
