/**
 * Packs the published packages for a release (SEC-31): from a clean copy of the sources, so that nothing of a former build, no test and
 * no secret that lies about comes along, and so that the same sources always make the same bytes, wherever they lie.
 *
 *   node .ci/pack.mjs <folder>
 *
 * Writes to the folder, which has to be new or empty: a tarball of each package; `sbom.json`, a CycloneDX list of all that they bring
 * along; and `SHA256SUMS` of the tarballs. It wants `pnpm install` to have been run, and no network.
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
import { join, resolve } from "node:path";

/** How long one command may take, in ms. The build is the longest: 3 s on two cores. */
const commandMs = 120_000;

const root = join(import.meta.dirname, "..");
const [given] = process.argv.slice(2);
if (given === undefined) throw new Error("Say where the tarballs shall go: node .ci/pack.mjs <folder>");
const destination = resolve(given);
mkdirSync(destination, { recursive: true });
if (readdirSync(destination).length > 0) throw new Error(`${destination} is not empty: take another folder`);

const copy = mkdtempSync(join(realpathSync(tmpdir()), "hark-pack-"));
try {
  copySources();
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
  // In the repository core finds the migrations at its root; installed, beside its own dist (core/src/migrations.ts).
  cpSync(join(copy, "drizzle"), join(copy, "packages/core/drizzle"), { recursive: true });
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

/** What git knows, and new files that it does not ignore: never what was built, installed or configured here. */
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

function pnpm(folder, ...words) {
  return run(folder, "npx", "-y", "pnpm@12", ...words);
}

/** Answers what the command wrote. Throws with all that it said if it fails. */
function run(cwd, command, ...words) {
  const { status, stdout, stderr, error } = spawnSync(command, words, { cwd, encoding: "utf8", timeout: commandMs });
  if (status !== 0) throw new Error(`${command} ${words.join(" ")} failed:\n${stdout}${stderr}`, { cause: error });
  return stdout;
}

function sha256(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}
