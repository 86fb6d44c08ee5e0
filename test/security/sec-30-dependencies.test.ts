// @module-tag SEC-30
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { root } from "../docs/blocks.ts";

/*
 * SEC-30: CI checks the lock file and the installed packages, with a script that needs no network.
 */

const script = `${root}.ci/audit-dependencies.mjs`;
const folders: string[] = [];
afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true })));

function audit(folder: string): { code: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, folder], { encoding: "utf8" });
  return { code: status, output: stdout + stderr };
}

/** Copies the files that the script reads, with one changed or added. Returns the folder. */
function doctored(file: string, change: (text: string) => string): string {
  const folder = mkdtempSync(join(tmpdir(), "hark-audit-"));
  folders.push(folder);
  for (const name of ["pnpm-lock.yaml", "pnpm-workspace.yaml", "DEPENDENCIES.md"])
    cpSync(root + name, join(folder, name));
  for (const name of ["core", "worker", "server", "job-manager", "pg-hark", "producer", "cli"])
    cpSync(`${root}packages/${name}/package.json`, join(folder, "packages", name, "package.json"));
  if (file.startsWith("node_modules/")) {
    mkdirSync(join(folder, dirname(file)), { recursive: true });
    writeFileSync(join(folder, file), change(""));
    return folder;
  }
  symlinkSync(`${root}node_modules`, join(folder, "node_modules"));
  const before = readFileSync(join(folder, file), "utf8");
  const after = change(before);
  expect(after, "the file did not change").not.toBe(before);
  writeFileSync(join(folder, file), after);
  return folder;
}

test("the repository passes", () => {
  expect(audit(root)).toEqual({ code: 0, output: "0 complaints about dependencies\n" });
});

test("CI runs the script before any code of the packages", () => {
  expect(readFileSync(`${root}.ci/run`, "utf8")).toMatch(
    /^check install pnpm install --frozen-lockfile\ncheck "dependency audit" node \.ci\/audit-dependencies\.mjs$/m,
  );
});

const one = (pattern: RegExp, by: string) => (text: string) => text.replace(pattern, by);
const manifest = (fields: object) => () =>
  JSON.stringify({ name: "evil", version: "1.0.0", license: "MIT", ...fields });
const evil = "node_modules/.pnpm/evil@1.0.0/node_modules/evil/package.json";

const cases: [what: string, file: string, change: (text: string) => string, complaint: RegExp][] = [
  [
    "a missing hash",
    "pnpm-lock.yaml",
    one(/resolution: \{integrity: sha512-[^}]*\}/, "resolution: {}"),
    /has no sha512 hash/,
  ],
  [
    "a weaker hash",
    "pnpm-lock.yaml",
    one(/integrity: sha512-[^}]*/, "integrity: sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk="),
    /has no sha512 hash/,
  ],
  [
    "a tarball from another host",
    "pnpm-lock.yaml",
    one(/resolution: \{integrity: ([^}]*)\}/, "resolution: {integrity: $1, tarball: https://evil.example/x.tgz}"),
    /not from the registry/,
  ],
  [
    "a package from git",
    "pnpm-lock.yaml",
    one(/^ {2}pg@[\d.]+:$/m, "  pg@git+https://evil.example/pg.git:"),
    /not a version from the registry/,
  ],
  [
    "a package without a resolution",
    "pnpm-lock.yaml",
    one(/^ {2}pg@[\d.]+:\n {4}resolution: .*\n/m, "  pg@8.23.1:\n"),
    /pg@8\.23\.1 has no resolution/,
  ],
  [
    "a dependency that bypasses the catalog",
    "pnpm-lock.yaml",
    one(/specifier: 'catalog:'/, "specifier: ^1.0.0"),
    /not from the catalog/,
  ],
  [
    "a range in the catalog",
    "pnpm-workspace.yaml",
    one(/^ {2}pg: .*$/m, "  pg: ^8.0.0"),
    /pg is \^8\.0\.0, which is no exact version/,
  ],
  [
    "a lock file of another package manager",
    "pnpm-lock.yaml",
    one(/lockfileVersion: '9\.0'/, "lockfileVersion: '10.0'"),
    /not of version 9\.0/,
  ],
  [
    "a dependency without a reason",
    "packages/core/package.json",
    one(/"pino": "catalog:"/, `"pino": "catalog:", "left-pad": "catalog:"`),
    /left-pad has no entry/,
  ],
  [
    "a reason without a dependency",
    "DEPENDENCIES.md",
    (text) => `${text}| \`left-pad\` | core | padding | |\n`,
    /left-pad is no dependency/,
  ],
  [
    "our own install script",
    "packages/core/package.json",
    one(/"type": "module",/, `"type": "module", "scripts": { "postinstall": "curl evil" },`),
    /packages\/core: has a postinstall script/,
  ],
  [
    "an install script without a decision",
    evil,
    manifest({ scripts: { postinstall: "curl evil" } }),
    /evil@1\.0\.0: has an install script/,
  ],
  ["a licence that is not allowed", evil, manifest({ license: "AGPL-3.0" }), /evil@1\.0\.0: has the licence AGPL-3\.0/],
  ["two licences, one not allowed", evil, manifest({ license: "(MIT AND SSPL-1.0)" }), /has the licence/],
  ["no licence", evil, manifest({ license: undefined }), /has the licence none/],
];

test.for(cases)("the script reports %s", ([, file, change, complaint]) => {
  const { code, output } = audit(doctored(file, change));
  expect(output).toMatch(complaint);
  expect(code).toBe(1);
});
