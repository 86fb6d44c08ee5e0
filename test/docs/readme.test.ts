import { existsSync, readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { blocksOf, documents, nameOf, type Proof, proofOf, proseOf, root } from "./blocks.ts";

const blocks = documents().flatMap(blocksOf);
const having = (...proofs: Proof[]) => blocks.filter((block) => proofs.includes(proofOf(block)!));

/* commands.test.ts and demos.test.ts run the commands, programs.test.ts the programs. */
test("every block can be proven", () => {
  expect(blocks.filter((block) => proofOf(block) === undefined).map(nameOf)).toEqual([]);
  expect(blocks.length).toBeGreaterThan(20);
});

describe("a listing is the file that it names", () => {
  test.for(having("file").map((block) => [nameOf(block), block] as const))("%s", ([, { info, text }]) => {
    expect(text).toBe(readFileSync(root + info["file"], "utf8"));
  });
});

describe("the diagram", () => {
  test.for(having("diagram").map((block) => [nameOf(block), block] as const))("%s", async ([, { document, text }]) => {
    const node = String.raw`(\w+)(\[\("[^"]+"\)\]|\["[^"]+"\])?`;
    const edge = new RegExp(`^  ${node} -- "[^"]+" --> ${node}$|^  ${node} --> ${node}$`);
    const [head, ...lines] = text.trimEnd().split("\n");
    expect(head).toBe("flowchart LR");
    expect(lines.filter((line) => !edge.test(line))).toEqual([]);

    const labelled = lines.flatMap((line) => [...line.matchAll(/(\w+)(?:\[\("|\[")/g)].map(([, name]) => name!));
    expect(labelled.length).toBe(new Set(labelled).size); // a second label would silently replace the first

    if (document !== "ARCHITECTURE.md") return; // its picture shows the worker's parts

    // "One file for each box of the picture", except tables and the reader's own code.
    const names = new Set(
      lines.flatMap((line) =>
        edge
          .exec(line)!
          .slice(1)
          .filter((part) => /^\w+$/.test(part ?? "")),
      ),
    );
    const boxes = [...names].filter((name) => name !== "app" && !new RegExp(`\\b${name}\\[\\(`).test(text));
    expect(boxes.length).toBeGreaterThan(4);
    const files = (await readdir(`${root}packages/worker/src`, { recursive: true })).map((file) =>
      file.split("/").at(-1),
    );
    expect(boxes.filter((box) => !files.includes(`${box}.ts`))).toEqual([]);
  });
});

test("every link and every path that a document names leads to a file", () => {
  const missing = documents().flatMap((document) => {
    const prose = proseOf(document);
    const links = [...prose.matchAll(/\]\((?!\w+:|#)([^)#\s]+)/g)].map(([, link]) => join(dirname(document), link!));
    const paths = [...prose.matchAll(/`((?:packages|examples|test|docs|drizzle|bench)\/[\w./-]+)`/g)].map(
      ([, path]) => path!,
    );
    return [...links, ...paths].filter((path) => !existsSync(root + path)).map((path) => `${document}: ${path}`);
  });
  expect(missing).toEqual([]);
});
