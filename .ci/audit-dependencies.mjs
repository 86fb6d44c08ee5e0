/**
 * Audits the lock file and the installed packages, without a network (SEC-30). Every direct
 * dependency comes from the catalog, and every package from the registry, with its hash. Install
 * scripts run only for packages that allowBuilds names. Licences must allow redistribution. Each
 * dependency of a published package has a reason in DEPENDENCIES.md.
 *
 *   node .ci/audit-dependencies.mjs [folder]
 *
 * Prints one line for each complaint, and exits with 1 if there is any.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** SPDX ids. MPL-2.0 only asks to publish changes of its own files, and Hark changes none. */
const licences = new Set([
  "MIT",
  "Apache-2.0",
  "ISC",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "0BSD",
  "BlueOak-1.0.0",
  "MPL-2.0",
  "Unlicense",
  "Python-2.0",
  "CC0-1.0",
  "CC-BY-4.0",
]);

/**
 * Word lists of the spelling check, which no published package depends on. Any licence is fine for
 * them.
 */
const isWordList = (name) => name.startsWith("@cspell/dict-");

const exact = /^\d+\.\d+\.\d+(-[\w.]+)?$/;

const folder = process.argv[2] ?? join(import.meta.dirname, "..");
const read = (file) => readFileSync(join(folder, file), "utf8");
const complaints = [...auditLock(read("pnpm-lock.yaml")), ...auditManifests(), ...auditInstalled()];
process.stdout.write([...complaints, `${complaints.length} complaints about dependencies`, ""].join("\n"));
process.exitCode = complaints.length > 0 ? 1 : 0;

/** The lines of a top-level section of the lock file, which pnpm writes in one form only. */
function section(lock, name) {
  const [, body = ""] = new RegExp(`^${name}:\n\n?((?:(?: .*)?\n)*)`, "m").exec(lock) ?? [];
  return body.split("\n");
}

function auditLock(lock) {
  const found = [];
  if (!/^lockfileVersion: '9\.0'$/m.test(lock))
    found.push("pnpm-lock.yaml: not of version 9.0, the only one that this script reads");

  let importer = "";
  let dependency = "";
  for (const line of section(lock, "importers")) {
    const [, indent = "", text = ""] = /^( *)(.*)$/.exec(line) ?? [];
    if (indent.length === 2) importer = text.replace(/:.*$/, "");
    if (indent.length === 6) dependency = text.replace(/:$/, "").replaceAll("'", "");
    const [, specifier] = /^specifier: '?([^']*)'?$/.exec(text) ?? [];
    // The queues that bench/ measures against have exact versions of their own.
    const isPeer = importer === "bench" && exact.test(specifier);
    if (specifier !== undefined && specifier !== "catalog:" && !specifier.startsWith("workspace:") && !isPeer)
      found.push(`${importer}: ${dependency} is ${specifier}, and not from the catalog`);
  }

  let name = "";
  let packages = 0;
  const unresolved = (which) => `pnpm-lock.yaml: ${which} has no resolution`;
  let isResolved = true;
  for (const line of section(lock, "packages")) {
    const [, entry] = /^ {2}'?([^' ][^']*?)'?:$/.exec(line) ?? [];
    if (entry !== undefined) {
      if (!isResolved) found.push(unresolved(name));
      name = entry;
      isResolved = false;
      packages += 1;
      if (!/^(@[\w.-]+\/)?[\w.-]+@\d[\w.+-]*$/.test(name))
        found.push(`pnpm-lock.yaml: ${name} is not a version from the registry`);
    }
    const [, resolution] = /^ {4}resolution: (.*)$/.exec(line) ?? [];
    if (resolution === undefined) continue;
    isResolved = true;
    if (!/\bintegrity: sha512-[A-Za-z0-9+/]{86}==/.test(resolution))
      found.push(`pnpm-lock.yaml: ${name} has no sha512 hash`);
    if (/\b(tarball|repo|directory|type|url):/.test(resolution))
      found.push(`pnpm-lock.yaml: ${name} is not from the registry: ${resolution}`);
  }
  if (!isResolved) found.push(unresolved(name));
  if (packages === 0) found.push("pnpm-lock.yaml: it contains no package");
  return found;
}

function auditManifests() {
  const found = [];
  const catalog = section(read("pnpm-workspace.yaml"), "catalog");
  for (const line of catalog) {
    const [, name, version] = /^ {2}"?([^":]+)"?: *(.+)$/.exec(line) ?? [];
    if (version !== undefined && !exact.test(version))
      found.push(`pnpm-workspace.yaml: ${name} is ${version}, which is no exact version`);
  }

  const used = new Set();
  for (const published of readdirSync(join(folder, "packages"))) {
    const manifest = JSON.parse(read(`packages/${published}/package.json`));
    const names = { ...manifest.dependencies, ...manifest.peerDependencies, ...manifest.optionalDependencies };
    for (const [name, version] of Object.entries(names)) if (!version.startsWith("workspace:")) used.add(name);
    for (const script of ["preinstall", "install", "postinstall", "prepare"])
      if (manifest.scripts?.[script])
        found.push(`packages/${published}: has a ${script} script, which users would have to run`);
  }
  const reasons = new Set([...read("DEPENDENCIES.md").matchAll(/^\| `([^`]+)`/gm)].map(([, name]) => name));
  for (const name of used) if (!reasons.has(name)) found.push(`DEPENDENCIES.md: ${name} has no entry`);
  for (const name of reasons)
    if (!used.has(name)) found.push(`DEPENDENCIES.md: ${name} is no dependency of a published package any more`);
  return found;
}

function auditInstalled() {
  const found = [];
  const decided = new Set(
    section(read("pnpm-workspace.yaml"), "allowBuilds").flatMap(
      (line) => /^ {2}"?([^":]+)"?: (true|false)$/.exec(line)?.[1] ?? [],
    ),
  );
  const store = join(folder, "node_modules/.pnpm");
  if (!existsSync(store)) return ["node_modules: nothing is installed, so scripts and licences cannot be seen"];
  for (const manifest of manifestsIn(store)) {
    const { name, version, scripts = {}, license, licenses } = JSON.parse(readFileSync(manifest, "utf8"));
    const hasScript = ["preinstall", "install", "postinstall"].some((script) => scripts[script]);
    if (hasScript && !decided.has(name))
      found.push(`${name}@${version}: has an install script, and allowBuilds says nothing about it`);
    const given = [license ?? licenses ?? "none"].flat().map((each) => (typeof each === "object" ? each.type : each));
    const ids = given
      .flatMap((each) => String(each).split(/[()]|\s+(?:OR|AND)\s+/))
      .map((each) => each.trim())
      .filter(Boolean);
    if (!isWordList(name) && !ids.every((id) => licences.has(id)))
      found.push(`${name}@${version}: has the licence ${given.join(", ")}`);
  }
  return found;
}

/** Yields each package once: the folder with its name inside its own folder of the store. */
function* manifestsIn(store) {
  for (const entry of readdirSync(store)) {
    const name = /^(@[^+]+\+)?[^@]+/.exec(entry)?.[0].replace("+", "/");
    const manifest = name && join(store, entry, "node_modules", name, "package.json");
    if (manifest && existsSync(manifest)) yield manifest;
  }
}
