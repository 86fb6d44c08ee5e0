// @module-tag SEC-32
// @module-tag SEC-33
// @module-tag SEC-37
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { root } from "../docs/blocks.ts";

/*
 * Rules that only the source can show. SEC-32: no code is built from text, and nothing is imported
 * by a name from the database. SEC-33: only JSON is deserialised. SEC-09: no SQL is built from
 * values. SEC-37: advisory locks have our own class or name.
 */

// Without those that .ci/generate.mjs makes of dependencies and of drizzle/.
const sources = readdirSync(`${root}packages`, { recursive: true, encoding: "utf8" })
  .filter(
    (file) => /^[\w-]+\/src\/.*\.tsx?$/.test(file) && !/(\.test\.tsx?|-bundle\.ts|migration-texts\.ts)$/.test(file),
  )
  .map((file) => ({
    file,
    text: readFileSync(`${root}packages/${file}`, "utf8").replace(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, ""),
  }));

function linesWith(pattern: RegExp): string[] {
  return sources.flatMap(({ file, text }) =>
    text
      .split("\n")
      .filter((line) => pattern.test(line))
      .map((line) => `${file}: ${line.trim()}`),
  );
}

test("the sources are found", () => {
  expect(sources.length).toBeGreaterThan(100);
});

test("no code is built from text", () => {
  expect(linesWith(/\beval\(|\bnew Function\(|\bvm\.|from "node:vm"|\brequire\(/)).toEqual([]);
});

test("only the command line imports a file by name, the one that its user gave", () => {
  const dynamic = linesWith(/\bimport\((?!\s*["'])/);
  expect(dynamic.map((line) => line.split(":", 1)[0])).toEqual(["cli/src/user-module.ts"]);
  expect(
    linesWith(/\bnew (Worker|Thread)\(/)
      .filter((line) => !line.includes("import.meta.url"))
      .map((line) => line.split(":", 1)[0]),
  ).toEqual([
    "worker/src/worker.ts",
    // A file beside it, or in a bundle the text that was made of that file when Hark was compiled.
    "worker/src/lease/start-lease-thread.ts",
    "worker/src/lease/start-lease-thread.ts",
  ]);
});

test("only JSON is deserialised", () => {
  expect(linesWith(/\bdeserialize\(|from "node:v8"|\byaml\b|\bstructuredClone\(/i)).toEqual([]);
});

test("no raw SQL goes through Drizzle", () => {
  expect(linesWith(/\bsql\.raw\(/)).toEqual([]);
});

test("every advisory lock is in our own class, or hashed under our own name", () => {
  const sql = [
    ...sources,
    ...readdirSync(`${root}drizzle`, { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name: file }) => ({ file, text: readFileSync(`${root}drizzle/${file}`, "utf8") })),
  ];
  const uses = sql.flatMap(({ file, text }) =>
    [...text.matchAll(/pg_(?:try_)?advisory_\w*lock\w*\(([^)]*)/g)].map(([, given]) => ({ file, given: given! })),
  );
  expect(uses.length).toBeGreaterThanOrEqual(5);
  for (const { file, given } of uses)
    expect(given, file).toMatch(/^(1751216747, hashtext|\$\{gateClass\}, hashtext|hashtextextended\('hark\.|\$1, \$2)/);
  const migrate = sources.find(({ file }) => file === "core/src/migration-session.ts")!.text;
  expect(migrate).toContain("[0x6861726b, 0x6d696772]");
  expect(0x6861726b).toBe(1751216747);
});
