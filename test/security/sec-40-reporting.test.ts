// @module-tag SEC-40
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { root } from "../docs/blocks.ts";
import { rowsOf } from "../docs/tables.ts";

/* SEC-40: SECURITY.md says where to report a vulnerability, and how long an answer takes. */

const [, reporting = ""] = /^## Reporting\n([^]*?)^## /m.exec(readFileSync(`${root}SECURITY.md`, "utf8")) ?? [];

test("the address is private", () => {
  expect(reporting).toContain("_Security_, _Report a vulnerability_");
  expect(reporting).toContain("do not open a public issue");
});

test("an answer comes in 48 hours, a judgement in 7 days, a release or its date in 14", () => {
  const [head, ...promises] = rowsOf("SECURITY.md").slice(0, 4);
  expect(head).toEqual(["after", "you have"]);
  expect(promises.map(([after]) => after)).toEqual(["48 hours", "7 days", "14 days"]);
  expect(promises.map(([, have = ""]) => have)).toEqual([
    expect.stringMatching(/^an answer/),
    expect.stringMatching(/^our judgement/),
    expect.stringMatching(/^a release/),
  ]);
});

test("it says which versions are fixed, and the README links to it", () => {
  expect(reporting).toMatch(/newest minor version is mended/);
  expect(readFileSync(`${root}README.md`, "utf8")).toContain("(SECURITY.md)");
});
