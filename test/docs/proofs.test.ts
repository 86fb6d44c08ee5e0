import { existsSync, readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parseArguments } from "../proof/arguments.ts";
import { type Proof, proofs } from "../proof/proofs.ts";
import { root } from "./blocks.ts";
import { rowsOf } from "./tables.ts";

const codes = (words: readonly string[]) => words.map((word) => `\`${word}\``).join(", ");
const rowOf = ({ name, proves, after, minutes }: Proof) => [`\`${name}\``, proves, codes(after), `${minutes}`];
const testsOf = ({ runs }: Proof) => runs.flatMap((run) => ("tests" in run ? run.tests : []));
const programsOf = ({ runs }: Proof) => runs.flatMap((run) => ("program" in run ? run.program : []));

test("docs/proof/README.md has a row for each proof: what it proves, after which change to run it, and how long it takes", () => {
  const rows = rowsOf("docs/proof/README.md").filter((row) => row.length === 4 && row[0] !== "proof");
  expect(rows).toEqual(proofs.map(rowOf));
});

test("the files that a proof runs, and those after which to run it, exist", () => {
  const named = proofs.flatMap((proof) => [...testsOf(proof), ...programsOf(proof), ...proof.after]);
  expect(named.filter((path) => !existsSync(root + path))).toEqual([]);
});

test("every folder with tests under test/proof belongs to a proof", () => {
  const folders = new Set(
    readdirSync(`${root}test/proof`, { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".test.ts"))
      .map((file) => `test/proof/${file.split("/", 1)[0]}`),
  );
  const run = proofs.filter(({ isExcerpt }) => !isExcerpt).flatMap(testsOf);
  expect([...folders].filter((folder) => !run.includes(folder))).toEqual([]);
});

describe("the arguments of pnpm run proof", () => {
  const namesOf = (...words: string[]) => parseArguments(words).chosen.map(({ name }) => name);

  test("without any, all proofs run except those that are part of others", () => {
    expect(namesOf()).toEqual(proofs.filter(({ isExcerpt }) => !isExcerpt).map(({ name }) => name));
    expect(namesOf()).not.toContain("quick");
  });

  test("names choose proofs, in the order of the table", () => {
    expect(namesOf("faults", "model")).toEqual(["model", "faults"]);
    expect(namesOf("quick")).toEqual(["quick"]);
  });

  test("arguments after a single name are passed on", () => {
    expect(parseArguments(["campaigns", "--seed", "1..3"])).toMatchObject({
      chosen: [{ name: "campaigns" }],
      rest: ["--seed", "1..3"],
    });
  });

  test.for([
    ["an unknown name", ["no-such-proof"], /There is no proof no-such-proof\. There are: quick, settings/],
    ["options for two proofs", ["faults", "model", "-t", "x"], /options need exactly one name/],
  ] as const)("%s is refused with a reason", ([, words, says]) => {
    expect(() => parseArguments(words)).toThrow(says);
  });
});
