import { registerHooks } from "node:module";
import { isFor, type TextSeam, throughSeams } from "../../../support/seams.ts";
import type { ExportSeam, Run, RunSeam, Seam } from "./build.ts";
import { fileOf } from "./exports.ts";

/** What core's `statement()` makes, and how. */
type Made = Run & { readonly statementName: string; readonly text: string };
type MakeStatement = (name: string, parameters: readonly string[], text: string, ...rest: never[]) => Made;

/** How the files in the place of the real ones find the values to export. */
const replacements = Symbol.for("hark.sabotage");
/** After the URL of a real file, so that it can be loaded beside the one in its place. */
const real = "?real";

/**
 * Puts the seams into the packages that this thread imports from now on: a file that makes an
 * export with a seam is loaded, and another in its place exports the same, but for that one value.
 * Must be called before any of the packages is imported. Returns the seams that something came by
 * so far. Throws, then or at an import, if one does not fit.
 */
export function install(seams: readonly Seam[]): ReadonlySet<Seam> {
  const used = new Set<Seam>();
  const makeStatement: ExportSeam = {
    package: "core",
    export: "statement",
    replace:
      (original: MakeStatement) =>
      (name: string, parameters: readonly string[], text: string, ...rest: never[]) => {
        const own = seams.filter((seam) => "statement" in seam && isFor(seam, name));
        for (const seam of own) used.add(seam);
        const changed = throughSeams(name, text, own.filter(isText));
        return own.filter(isRun).reduce(sabotaged, original(name, parameters, changed, ...rest));
      },
  };
  const byFile = Map.groupBy([makeStatement, ...seams.filter(isExport)], fileOf);
  const replace = (file: string, name: string, original: unknown): unknown => {
    const own = (byFile.get(file) ?? []).filter((seam) => seam.export === name);
    for (const seam of own) used.add(seam);
    return own.reduce((former, seam) => seam.replace(former as never), original);
  };
  Object.assign(globalThis, { [replacements]: replace });

  registerHooks({
    load(url, context, next) {
      const own = byFile.get(url);
      if (!own) return next(url, context);
      const names = new Set(own.map((seam) => seam.export));
      const source = [
        `import * as real from ${JSON.stringify(url + real)};`,
        `export * from ${JSON.stringify(url + real)};`,
        `const replace = globalThis[Symbol.for("hark.sabotage")];`,
        ...[...names].map((name) => `export const ${name} = replace(${JSON.stringify(url)}, "${name}", real.${name});`),
      ];
      return { format: "module", source: source.join("\n"), shortCircuit: true };
    },
  });
  return used;
}

function sabotaged(made: Made, { run }: RunSeam): Made {
  return Object.assign(run(made), { statementName: made.statementName, text: made.text });
}

const isText = (seam: Seam): seam is TextSeam => "sql" in seam;
const isRun = (seam: Seam): seam is RunSeam => "run" in seam;
const isExport = (seam: Seam): seam is ExportSeam => "export" in seam;
