import { existsSync, readdirSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { join } from "node:path";
import { expect, test } from "vitest";

const packages = join(import.meta.dirname, "../../packages");

/**
 * Who may import whom: the table of the design. Beside it stand "pg" in the worker, for the sessions of listener and lease that no
 * pool may hold, and "zod" in the server, for what comes over HTTP.
 */
const borders: Record<string, string[]> = {
  core: ["drizzle-orm", "pg", "pino", "@standard-schema/spec"],
  producer: ["@hark/core"],
  worker: ["@hark/core", "p-limit", "pg", "pg-listen", "croner"],
  server: ["@hark/core", "@hark/producer", "hono", "@hono/node-server", "zod"],
};
/** As types only: what it imports of them must vanish when it is compiled. */
const typesOnly: Record<string, string[]> = { server: ["@hark/worker"] };

for (const [name, allowed] of Object.entries(borders)) {
  const source = join(packages, name, "src");
  if (!existsSync(source)) continue;

  test(`${name} imports what the design lets it, and nothing else`, () => {
    const foreign: string[] = [];
    for (const file of filesOf(source)) {
      for (const { specifier, isType } of importsOf(readFileSync(file, "utf8"))) {
        if (specifier.startsWith(".") || isBuiltin(specifier)) continue;
        const target = packageOf(specifier);
        if (allowed.includes(target) || (isType && typesOnly[name]?.includes(target))) continue;
        foreign.push(`${file.slice(packages.length + 1)}: ${specifier}`);
      }
    }
    expect(foreign).toEqual([]);
  });
}

for (const name of readdirSync(packages)) {
  const source = join(packages, name, "src");
  if (!existsSync(source)) continue;

  test(`${name} reaches into no other package's files`, () => {
    const reaching: string[] = [];
    for (const file of filesOf(source)) {
      const exported = (specifier: string) =>
        specifier.startsWith("@hark/") && specifier.split("/").length > 2 && !isExported(specifier);
      for (const { specifier } of importsOf(readFileSync(file, "utf8"))) {
        const leaves = specifier.startsWith(".") && !join(file, "..", specifier).startsWith(source);
        if (leaves || exported(specifier)) reaching.push(`${file.slice(packages.length + 1)}: ${specifier}`);
      }
    }
    expect(reaching).toEqual([]);
  });
}

test("producer and worker never import each other", () => {
  for (const [name, other] of [
    ["producer", "worker"],
    ["worker", "producer"],
  ]) {
    const manifest = JSON.parse(readFileSync(join(packages, name!, "package.json"), "utf8")) as Record<
      string,
      object | undefined
    >;
    expect(Object.keys({ ...manifest["dependencies"], ...manifest["peerDependencies"] })).not.toContain(
      `@hark/${other}`,
    );
  }
});

test("what is imported is also declared", () => {
  const missing: string[] = [];
  for (const name of Object.keys(borders)) {
    const source = join(packages, name, "src");
    if (!existsSync(source)) continue;
    const manifest = JSON.parse(readFileSync(join(packages, name, "package.json"), "utf8")) as Record<
      string,
      object | undefined
    >;
    const declared = Object.keys({
      ...manifest["dependencies"],
      ...manifest["peerDependencies"],
      ...manifest["devDependencies"],
    });
    for (const file of filesOf(source)) {
      for (const { specifier } of importsOf(readFileSync(file, "utf8"))) {
        if (specifier.startsWith(".") || isBuiltin(specifier) || declared.includes(packageOf(specifier))) continue;
        missing.push(`${file.slice(packages.length + 1)}: ${specifier}`);
      }
    }
  }
  expect(missing).toEqual([]);
});

/** Source files that are published: tests and what serves them may import what they like. */
function filesOf(source: string): string[] {
  return readdirSync(source, { recursive: true, encoding: "utf8" })
    .filter((path) => /\.tsx?$/.test(path) && !/\.test\.tsx?$/.test(path) && !path.startsWith("testing/"))
    .map((path) => join(source, path));
}

function importsOf(text: string): { specifier: string; isType: boolean }[] {
  const code = text.replace(/\/\*[^]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
  const found = [...code.matchAll(/^\s*(import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?["']([^"']+)["']/gm)];
  const dynamic = [...code.matchAll(/\bimport\(\s*["']([^"']+)["']/g)];
  return [
    ...found.map(([, , isType, specifier]) => ({ specifier: specifier!, isType: isType !== undefined })),
    ...dynamic.map(([, specifier]) => ({ specifier: specifier!, isType: false })),
  ];
}

function packageOf(specifier: string): string {
  return specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
}

function isExported(specifier: string): boolean {
  const [, name, ...rest] = specifier.split("/");
  const manifest = JSON.parse(readFileSync(join(packages, name!, "package.json"), "utf8")) as {
    exports: Record<string, unknown>;
  };
  return `./${rest.join("/")}` in manifest.exports;
}
