/**
 * Writes the three source files that are made from others, before they are compiled. None is in
 * git.
 *
 *   node .ci/generate.mjs [root]
 *
 * - `packages/core/src/migration-texts.ts`: the files of `drizzle/`. As a module, they reach every
 *   bundle and every traced deployment.
 * - `packages/worker/src/lease/lease-thread-bundle.ts`: the lease thread as one script, with `pg`
 *   in it. A bundle starts its thread from this text, since it has no file for it.
 * - `packages/worker/src/wake/pg-listen-bundle.ts`: `pg-listen` as an ES module. It imports
 *   `pg-format`, which finds one of its files by `__dirname` and so works in no bundle.
 * - `packages/core/src/views.cts`: a copy of `views.ts` for the compilers of CommonJS projects.
 *
 * A file that is up to date is not written again, so that compiling stays incremental.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { build } from "esbuild";

const [given] = process.argv.slice(2);
const root = resolve(given ?? join(import.meta.dirname, ".."));

function writeMigrationTexts() {
  const read = (name) => readFileSync(join(root, "drizzle", name), "utf8");
  const { entries } = JSON.parse(read("meta/_journal.json"));
  const rows = entries.map(({ tag }) => `  [${JSON.stringify(tag)}, ${JSON.stringify(read(`${tag}.sql`))}],\n`);
  write(
    "packages/core/src/migration-texts.ts",
    `export const migrationTexts: readonly (readonly [name: string, text: string])[] = [\n${rows.join("")}];\n` +
      `export const rolesText = ${JSON.stringify(read("roles.sql"))};\n`,
  );
}

function writeViews() {
  const views = join(root, "packages/core/src/views.ts");
  if (existsSync(views)) write("packages/core/src/views.cts", readFileSync(views, "utf8"));
}

async function writeLeaseThread() {
  const entry = join(root, "packages/worker/src/lease/lease-thread.ts");
  if (!existsSync(entry)) return; // an older release, which a test compiles
  const { outputFiles, metafile } = await build({
    entryPoints: [entry],
    absWorkingDir: root,
    bundle: true,
    write: false,
    metafile: true,
    platform: "node",
    target: "node22",
    format: "cjs", // what the threads of Node take as text
    minify: true,
    keepNames: true,
    pure: ["statement"], // so that only the statements of the lease are contained
    legalComments: "none",
    external: ["pg-native", "pg-cloudflare"], // pg asks for them only where it was told to
    plugins: [coreFromSource],
    logLevel: "silent",
  });
  write(
    "packages/worker/src/lease/lease-thread-bundle.ts",
    `${licencesOf(Object.keys(metafile.inputs))}export const leaseThreadBundle = ${JSON.stringify(outputFiles[0].text)};\n`,
  );
}

async function writePgListen() {
  if (!existsSync(join(root, "packages/worker/src/wake"))) return; // an older release
  const { outputFiles, metafile } = await build({
    stdin: {
      contents: `export { default as createSubscriber } from "pg-listen/dist/index.js";`,
      resolveDir: join(root, "packages/worker"),
    },
    absWorkingDir: root,
    bundle: true,
    write: false,
    metafile: true,
    platform: "node",
    target: "node22",
    format: "esm",
    minify: true, // leaves out the paths of this machine
    legalComments: "none",
    plugins: [withoutRequire],
    logLevel: "silent",
  });
  write(
    "packages/worker/src/wake/pg-listen-bundle.ts",
    `// @ts-nocheck\n${licencesOf(Object.keys(metafile.inputs))}${outputFiles[0].text}`,
  );
}

/** Replaces what pg-listen asks for with require(), which an ES module has not. */
const withoutRequire = {
  name: "without-require",
  setup({ onResolve, onLoad }) {
    const modules = {
      pg: `export { Client } from "pg";`,
      events: `export { EventEmitter as default } from "node:events";`,
      debug: `export default () => () => {};`,
    };
    onResolve({ filter: /^(pg|events|debug|node:events)$/ }, ({ path, kind }) =>
      kind === "require-call" ? { path, namespace: "module" } : { path, external: true },
    );
    onLoad({ filter: /.*/, namespace: "module" }, ({ path }) => ({ contents: modules[path] }));
    onLoad({ filter: /pg-format\/lib\/index\.js$/ }, ({ path }) => ({
      contents: readFileSync(path, "utf8").replace("__dirname + '/reserved.js'", "'./reserved.js'"),
    }));
  },
};

/** Resolves subpaths of core to its sources, since core is not built yet. */
const coreFromSource = {
  name: "core-from-source",
  setup({ onResolve }) {
    const { exports } = JSON.parse(readFileSync(join(root, "packages/core/package.json"), "utf8"));
    onResolve({ filter: /^@hark\/core\// }, ({ path }) => {
      const { default: built } = exports[path.replace("@hark/core", ".")];
      return { path: join(root, "packages/core", built.replace("dist/", "src/").replace(/\.js$/, ".ts")) };
    });
  },
};

/** The packages that the bundle contains, with their licences, as a comment. */
function licencesOf(inputs) {
  const folders = new Set(
    inputs.filter((input) => !input.includes(":") && input.includes("node_modules/")).map(packageOf),
  );
  const parts = Array.from(folders)
    .toSorted((one, other) => (one < other ? -1 : 1))
    .map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
      const file = readdirSync(folder).find((each) => /^(license|licence)/i.test(each));
      const text = file === undefined ? `License: ${license}` : readFileSync(join(folder, file), "utf8").trim();
      return `${name} ${version}\n\n${text}\n`;
    });
  return `/*\nIt contains these packages.\n\n${parts.join("\n").replaceAll("*/", "* /")}*/\n`;
}

function packageOf(input) {
  let folder = dirname(resolve(root, input));
  while (!existsSync(join(folder, "package.json"))) folder = dirname(folder);
  return folder;
}

function write(file, text) {
  const path = join(root, file);
  const whole = `/* Written by .ci/generate.mjs. Do not edit it. */\n${text}`;
  if (!existsSync(path) || readFileSync(path, "utf8") !== whole) writeFileSync(path, whole);
}

writeMigrationTexts();
writeViews();
await writeLeaseThread();
await writePgListen();
