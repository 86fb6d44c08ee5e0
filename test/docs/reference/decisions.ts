import { globSync, readFileSync } from "node:fs";
import { root } from "../blocks.ts";

const [begin, end] = ["<!-- decisions: written by pnpm run docs -->", "<!-- decisions: end -->"];

/** docs/decisions/README.md with a line for each record, by its number. */
export function decisionsPage(): string {
  const text = readFileSync(`${root}docs/decisions/README.md`, "utf8");
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from === -1 || to < from)
    throw new Error(`docs/decisions/README.md has no place between "${begin}" and "${end}"`);
  const records = globSync("docs/decisions/[0-9]*.md", { cwd: root }).toSorted();
  const lines = records.map((file) => `- [${titleOf(file)}](${file.slice("docs/decisions/".length)})`);
  return `${text.slice(0, from + begin.length)}\n\n${lines.join("\n")}\n\n${text.slice(to)}`;
}

/** Returns a title such as `6. Producers notify only while ...`. Its number must be the file's. */
function titleOf(file: string): string {
  const [, title = "", number = ""] = /^# ((\d+)\. .+)$/m.exec(readFileSync(root + file, "utf8")) ?? [];
  if (Number(/(\d+)-/.exec(file)?.[1]) !== Number(number))
    throw new Error(`${file} needs the heading "# <number>. <title>"`);
  return title;
}
