// @module-tag SEC-31
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { proseOf, root } from "../docs/blocks.ts";

/*
 * SEC-31: the published packages match the sources. `.ci/pack.mjs` packs twice in parallel, in
 * folders of different depth and under different umasks. The bytes must be the same, and the files
 * must be those of a reviewed list.
 */

const exec = promisify(execFile);
const packages = ["cli", "core", "job-manager", "pg-hark", "producer", "server", "worker"];
const packMs = 180_000;

interface Manifest {
  name: string;
  version: string;
  private?: boolean;
  scripts?: Record<string, string>;
  dependencies?: Record<string, string>;
  publishConfig?: object;
}

const manifestOf = async (folder: string) =>
  JSON.parse(await readFile(join(folder, "package.json"), "utf8")) as Manifest;
const tarballOf = ({ name, version }: Manifest) => `${name.replace("@", "").replace("/", "-")}-${version}.tgz`;

let scratch: string;
let manifests: Manifest[];
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "hark-packages-"));
  manifests = await Promise.all(packages.map((folder) => manifestOf(`${root}packages/${folder}`)));
  const deeper = join(scratch, "some/deeper folder");
  await mkdir(deeper, { recursive: true });
  await Promise.all([pack("first", scratch, "022"), pack("second", deeper, "077")]);
  for (const manifest of manifests) {
    const folder = join(scratch, "unpacked", manifest.name);
    await mkdir(folder, { recursive: true });
    await exec("tar", ["xzf", join(scratch, "first", tarballOf(manifest)), "-C", folder, "--strip-components=1"]);
  }
}, packMs);
afterAll(() => rm(scratch, { recursive: true, force: true }));

/** Packs into a scratch folder. The build copies the sources to `temporary`. */
async function pack(into: string, temporary: string, umask: string): Promise<void> {
  const command = `umask ${umask}; exec "$0" .ci/pack.mjs "$1"`;
  const env = { ...process.env, TMPDIR: temporary };
  await exec("sh", ["-c", command, process.execPath, join(scratch, into)], { cwd: root, env, timeout: packMs });
}

/** Files of the unpacked packages: `<package>/<path>`. */
async function unpacked(): Promise<string[]> {
  const found = await readdir(join(scratch, "unpacked"), { recursive: true, withFileTypes: true });
  return found
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(join(scratch, "unpacked/").length))
    .toSorted();
}

test("each published package, packed twice, has the same bytes", async () => {
  const sums = await readFile(join(scratch, "first/SHA256SUMS"), "utf8");
  expect(sums.match(/\S+$/gm)?.toSorted()).toEqual(manifests.map(tarballOf).toSorted());
  expect(await readFile(join(scratch, "second/SHA256SUMS"), "utf8")).toBe(sums);
  await exec("sha256sum", ["--check", "--strict", "SHA256SUMS"], { cwd: join(scratch, "second") });
});

test("the files of the published packages are those of the list", async () => {
  // Files that parts of a package share are named for their content.
  const names = (await unpacked()).map((file) => file.replace(/-[0-9A-Z]{8}\.js$/, "-*.js"));
  const listed = `${[...new Set(names)].join("\n")}\n`;
  // `vitest run <this file> -u`, in this order, writes the list again. Review its diff.
  await expect(listed).toMatchFileSnapshot("published-files.txt");
});

test("no test, source map, build state, configuration or path of the packing machine is published", async () => {
  const files = await unpacked();
  expect(files.length).toBeGreaterThan(200);
  expect(
    files.filter(
      (file) =>
        !/\/(package\.json|README\.md|LICENSE|src\/views\.c?ts|schema\.d\.cts|dist\/.*\.(js|d\.ts))$/.test(file),
    ),
  ).toEqual([]);
  expect(files.filter((file) => /\.test\.|\/testing\//.test(file))).toEqual([]);
  for (const file of files) {
    const text = await readFile(join(scratch, "unpacked", file), "utf8");
    for (const path of [root, scratch, "hark-pack-", "sourceMappingURL="])
      expect(text.includes(path), `${file} holds ${path}`).toBe(false);
    expect(text, file).not.toMatch(/-----BEGIN [A-Z ]*PRIVATE KEY|\bnpm_[A-Za-z0-9]{36}\b|\bgh[ps]_[A-Za-z0-9]{36}\b/);
  }
});

test("core contains the migrations and the roles of the repository", async () => {
  const dist = join(scratch, "unpacked/@hark/core/dist");
  const texts = (await readdir(dist)).find((name) => /^migration-texts-\w+\.js$/.test(name));
  const core = join(dist, texts!);
  const { migrationTexts, rolesText } = (await import(pathToFileURL(core).href)) as {
    migrationTexts: [name: string, text: string][];
    rolesText: string;
  };
  const files = (await readdir(`${root}drizzle`)).filter((file) => /^\d+_.*\.sql$/.test(file)).toSorted();
  const inRepository = files.map(async (sql) => [sql.slice(0, -4), await readFile(`${root}drizzle/${sql}`, "utf8")]);
  expect(migrationTexts).toEqual(await Promise.all(inRepository));
  expect(rolesText).toBe(await readFile(`${root}drizzle/roles.sql`, "utf8"));
});

test("the bill of materials names each dependency with its version and its hash", async () => {
  const { bomFormat, components } = JSON.parse(await readFile(join(scratch, "first/sbom.json"), "utf8")) as {
    bomFormat: string;
    components: { purl: string; externalReferences?: { type: string; hashes?: { alg: string }[] }[] }[];
  };
  expect(bomFormat).toBe("CycloneDX");
  const purls = components.map(({ purl }) => decodeURIComponent(purl));
  for (const { name } of manifests) {
    const { dependencies = {} } = await manifestOf(join(scratch, "unpacked", name));
    for (const [dependency, version] of Object.entries(dependencies)) {
      expect(version, `${name}: ${dependency}`).toMatch(/^\d+\.\d+\.\d+$/); // no range, and no "workspace:" or "catalog:"
      expect(purls).toContain(`pkg:npm/${dependency}@${version}`);
    }
  }
  const foreign = components.filter(
    ({ purl }) => !manifests.some(({ name }) => decodeURIComponent(purl).includes(`/${name}@`)),
  );
  expect(foreign.length).toBeGreaterThan(30);
  const isHashed = ({ externalReferences = [] }: (typeof components)[number]) =>
    externalReferences.some(
      ({ type, hashes = [] }) => type === "distribution" && hashes.some(({ alg }) => alg === "SHA-512"),
    );
  expect(foreign.filter((component) => !isHashed(component)).map(({ purl }) => purl)).toEqual([]);
});

describe("the manifests", () => {
  test("of published packages ask for provenance, and have no install scripts", () => {
    for (const { name, publishConfig, scripts = {}, private: isPrivate } of manifests) {
      expect(publishConfig, name).toEqual({ access: "public", provenance: true });
      expect(isPrivate, name).toBeUndefined();
      expect(Object.keys(scripts), name).toEqual([]);
    }
  });

  test("of one release have one version", () => {
    expect(new Set(manifests.map(({ version }) => version)).size).toBe(1);
  });

  test("of all other packages forbid publishing", async () => {
    const { stdout } = await exec("git", ["ls-files", "package.json", "*/package.json"], { cwd: root });
    const others = stdout
      .trim()
      .split("\n")
      .filter((file) => !/^packages\/[\w-]+\/package\.json$/.test(file));
    expect(others.length).toBeGreaterThanOrEqual(5);
    for (const file of others) {
      const manifest = JSON.parse(await readFile(root + file, "utf8")) as Manifest;
      expect(manifest.private, file).toBe(true);
    }
  });
});

test("a document lists the steps of a release outside the repository", () => {
  const prose = proseOf("docs/how-to/release.md");
  for (const duty of [
    /trusted publish/i,
    /provenance/i,
    /two maintainers/i,
    /`repository`/,
    /SBOM|sbom\.json/,
    /SHA256SUMS/,
  ])
    expect(prose).toMatch(duty);
});
