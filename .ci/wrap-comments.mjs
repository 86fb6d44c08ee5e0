// Wraps comments at 100 columns: `node .ci/wrap-comments.mjs --write` changes the files, without it
// the long lines are listed and the exit code is 1. Code stays at oxfmt's 120 columns. A paragraph
// is wrapped only if one of its lines is too long. Tables, code fences, indented lines and comments
// behind code are left as they are.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";

const width = 100;
const isWrite = process.argv.includes("--write");

const files = execFileSync(
  "git",
  ["ls-files", "--cached", "--others", "--exclude-standard", "*.ts", "*.mjs", "*.sql"],
  {
    encoding: "utf8",
  },
)
  .trim()
  .split("\n");

/** A line that begins something of its own, and continues indented: a list item or a tag. */
const opening = /^(?:[-*•] |\d+\. |\([a-z0-9]+\) |@\w+ )/;

/** Lines of text, each without its comment mark, as lines of at most `room` characters. */
function wrap(lines, room) {
  const wrapped = [];
  let isFenced = false;
  for (let first = 0; first < lines.length;) {
    const line = lines[first];
    if (line.trimStart().startsWith("```")) isFenced = !isFenced;
    if (
      isFenced ||
      line.trim() === "" ||
      /^\s*(?:\||```)/.test(line) ||
      (/^\s{2,}/.test(line) && !opening.test(line.trim()))
    ) {
      wrapped.push(line);
      first += 1;
      continue;
    }
    const indent = /^\s*/.exec(line)[0];
    const isItem = opening.test(line.trim());
    const hanging = isItem && !line.trim().startsWith("@") ? `${indent}  ` : indent;
    let next = first + 1;
    while (
      next < lines.length &&
      lines[next].trim() !== "" &&
      !/^\s*(?:\||```)/.test(lines[next]) &&
      !opening.test(lines[next].trim()) &&
      (isItem ? true : /^\s*/.exec(lines[next])[0] === indent)
    )
      next += 1;
    const paragraph = lines.slice(first, next);
    if (paragraph.every((each) => each.length <= room)) wrapped.push(...paragraph);
    else {
      // A {@link Name} is one word.
      const words =
        paragraph
          .join(" ")
          .trim()
          .match(/\{@\w+ [^}]*\}\S*|\S+/g) ?? [];
      let current = indent;
      let isEmpty = true;
      for (const word of words) {
        if (!isEmpty && current.length + 1 + word.length > room) {
          wrapped.push(current);
          current = hanging;
          isEmpty = true;
        }
        current += isEmpty ? word : ` ${word}`;
        isEmpty = false;
      }
      wrapped.push(current);
    }
    first = next;
  }
  return wrapped;
}

function wrapFile(text, file) {
  const lines = text.split("\n");
  const out = [];
  const mark = file.endsWith(".sql") ? "--" : "//";
  const single = new RegExp(`^(\\s*)${mark} ?(.*)$`);
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at];
    const block = mark === "//" && /^(\s*)\/\*\*?(?!\/)/.exec(line);
    if (block) {
      let end = at;
      while (end < lines.length && !lines[end].includes("*/")) end += 1;
      const comment = lines.slice(at, end + 1);
      at = end;
      if (!comment.some((each) => each.length > width) || !/\*\/\s*$/.test(comment.at(-1))) {
        out.push(...comment);
        continue;
      }
      const indent = block[1];
      const open = comment[0].trim().startsWith("/**") ? "/**" : "/*";
      const inner = comment
        .map((each, place) => {
          let rest = place === 0 ? each.trim().slice(open.length) : each.replace(/^\s*\*(?!\/) ?/, "");
          if (place === comment.length - 1) rest = rest.replace(/\s*\*\/\s*$/, "");
          return place === 0 ? rest.trim() : rest.trimEnd();
        })
        .filter((each, place, all) => !((place === 0 || place === all.length - 1) && each.trim() === ""));
      out.push(`${indent}${open}`);
      for (const each of wrap(inner, width - indent.length - 3)) out.push(`${indent} * ${each}`.trimEnd());
      out.push(`${indent} */`);
      continue;
    }
    const found = single.exec(line);
    if (found && !line.includes("-->")) {
      const indent = found[1];
      const texts = [];
      let end = at;
      for (; end < lines.length; end += 1) {
        const next = single.exec(lines[end]);
        if (!next || next[1] !== indent) break;
        texts.push(next[2]);
      }
      at = end - 1;
      for (const each of wrap(texts, width - indent.length - mark.length - 1))
        out.push(`${indent}${mark} ${each}`.trimEnd());
      continue;
    }
    out.push(line);
  }
  return out.join("\n");
}

/** A line too long that no wrapping shortens: an address, or one word. */
const isComment = (line, file) => (file.endsWith(".sql") ? /^\s*--/ : /^\s*(?:\/\/|\*|\/\*)/).test(line);

let long = 0;
for (const file of files) {
  if (file.startsWith("drizzle/meta/")) continue;
  const text = readFileSync(file, "utf8");
  const wrapped = wrapFile(text, file);
  if (isWrite && wrapped !== text) writeFileSync(file, wrapped);
  for (const [place, line] of (isWrite ? wrapped : text).split("\n").entries()) {
    if (line.length <= width || !isComment(line, file) || /https?:\/\/\S{60,}|oxlint-|statement-breakpoint/.test(line))
      continue;
    long += 1;
    process.stderr.write(`${file}:${place + 1}: a comment of ${line.length} columns: at most ${width}\n`);
  }
}
if (long > 0) process.exitCode = 1;
