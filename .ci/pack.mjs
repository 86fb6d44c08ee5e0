/**
 * Packs the published packages for a release (SEC-31). It works on a clean copy of the sources, so
 * that no old build, test or secret is packed, and the same sources always give the same bytes, in
 * any folder.
 *
 *   node .ci/pack.mjs <folder>
 *
 * Writes to the folder, which must be new or empty: a tarball of each package; `sbom.json`, a
 * CycloneDX list of all their dependencies; and `SHA256SUMS` of the tarballs. It needs a finished
 * `pnpm install`, but no network.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { build } from "esbuild";

/** How long one command may take, in ms. The build takes longest: 3 s on two cores. */
const commandMs = 120_000;

const root = join(import.meta.dirname, "..");
const [given] = process.argv.slice(2);
if (given === undefined) throw new Error("Name the folder for the tarballs: node .ci/pack.mjs <folder>");
const destination = resolve(given);
mkdirSync(destination, { recursive: true });
if (readdirSync(destination).length > 0) throw new Error(`${destination} is not empty: use another folder`);

const copy = mkdtempSync(join(realpathSync(tmpdir()), "hark-pack-"));
try {
  copySources();
  run(root, process.execPath, join(root, ".ci/generate.mjs"), copy);
  run(
    copy,
    join(root, "node_modules/.bin/tsc"),
    "-b",
    "packages/pg-hark",
    "--sourceMap",
    "false",
    "--declarationMap",
    "false",
  );
  for (const name of ["core", "producer", "worker", "server", "job-manager"])
    await joinFiles(join(copy, "packages", name));
  for (const name of readdirSync(join(copy, "packages")))
    pnpm(join(copy, "packages", name), "pack", "--pack-destination", destination);
  pnpm(
    copy,
    "sbom",
    "--sbom-format",
    "cyclonedx",
    "--lockfile-only",
    "--prod",
    "--filter",
    "./packages/*",
    "--out",
    join(destination, "sbom.json"),
  );
} finally {
  rmSync(copy, { recursive: true });
}

const tarballs = readdirSync(destination).filter((file) => file.endsWith(".tgz"));
const sums = tarballs.map((file) => `${sha256(readFileSync(join(destination, file)))}  ${file}\n`).join("");
writeFileSync(join(destination, "SHA256SUMS"), sums);
process.stdout.write(sums);

/**
 * Copies the files that git tracks, and new files that it does not ignore. Nothing built, installed
 * or configured here is copied.
 */
function copySources() {
  const parts = [
    "packages",
    "drizzle",
    "LICENSE",
    "package.json",
    "pnpm-workspace.yaml",
    "pnpm-lock.yaml",
    "tsconfig.base.json",
  ];
  const files = run(root, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ...parts);
  for (const file of files.split("\0").filter((name) => name !== "" && existsSync(join(root, name))))
    cpSync(join(root, file), join(copy, file));
  for (const folder of ["", ...readdirSync(join(copy, "packages")).map((name) => `packages/${name}`)])
    symlinkSync(join(root, folder, "node_modules"), join(copy, folder, "node_modules"));
}

/**
 * Replaces the many files of a package's code by a few: Node takes about a millisecond for each
 * file that it loads. What packages import from each other and from others stays an import.
 * Exports, subpaths, declarations and names stay as they are.
 */
async function joinFiles(folder) {
  const { name, exports } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const entries = Object.values(exports).map((target) => join(folder, target.default));
  if (name === "@hark/worker") entries.push(join(folder, "dist/lease/lease-thread.js"));
  const { outputFiles } = await build({
    entryPoints: entries,
    outbase: join(folder, "dist"),
    outdir: join(folder, "dist"),
    absWorkingDir: folder,
    bundle: true,
    splitting: true,
    write: false,
    platform: "node",
    target: "node22",
    format: "esm",
    packages: "external",
    keepNames: true, // of the error classes, which become the names of errors
    legalComments: "inline",
    logLevel: "warning",
  });
  const dist = join(folder, "dist");
  for (const file of readdirSync(dist, { recursive: true, encoding: "utf8" }))
    if (file.endsWith(".js")) rmSync(join(dist, file));
  for (const { path, contents } of outputFiles) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, contents);
  }
}

function pnpm(folder, ...words) {
  return run(folder, "npx", "-y", "pnpm@12", ...words);
}

/** Returns the command's output. If the command fails, throws with everything it printed. */
function run(cwd, command, ...words) {
  const { status, stdout, stderr, error } = spawnSync(command, words, { cwd, encoding: "utf8", timeout: commandMs });
  if (status !== 0) throw new Error(`${command} ${words.join(" ")} failed:\n${stdout}${stderr}`, { cause: error });
  return stdout;
}

function sha256(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}
