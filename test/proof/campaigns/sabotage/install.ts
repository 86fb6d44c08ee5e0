import { registerHooks } from "node:module";
import { isFor, type TextSeam, throughSeams } from "../../../support/seams.ts";
import type { ExportSeam, Run, RunSeam, Seam } from "./build.ts";
import { fileOf } from "./exports.ts";

/** What core's `statement()` makes, and its signature. */
type Made = Run & { readonly statementName: string; readonly text: string };
type MakeStatement = (name: string, parameters: readonly string[], text: string, ...rest: never[]) => Made;

/** Where the files that replace the real ones find the values to export. */
const replacements = Symbol.for("hark.sabotage");
/** Suffix of the URL of a real file, so that it can be loaded beside its replacement. */
const real = "?real";

/**
 * Puts the seams into the packages that this thread imports from now on. A file that defines an
 * export with a seam is loaded, and a replacement exports the same values except that one. Call it
 * before any of the packages is imported. Returns the seams used so far. Throws, now or at an
 * import, if a seam does not fit.
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
