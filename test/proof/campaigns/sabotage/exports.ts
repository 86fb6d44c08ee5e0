import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { ExportSeam } from "./build.ts";

const packages = fileURLToPath(new URL("../../../../packages/", import.meta.url));

/**
 * Returns the URL of the built file that defines an export of a package. Throws unless there is
 * exactly one.
 */
export function fileOf({ package: name, export: wanted }: Pick<ExportSeam, "package" | "export">): string {
  const [source, built] = ["src", "dist"].map((folder) => join(packages, name, folder));
  const makes = new RegExp(String.raw`^export (?:async )?(?:function|class|const) ${wanted}\b`, "m");
  const files = readdirSync(built!, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".js") && !file.endsWith(".test.js"))
    .filter((file) => existsSync(join(source!, file.replace(/js$/, "ts")))) // dist may hold files whose source has moved
    .map((file) => join(built!, file))
    .filter((file) => makes.test(readFileSync(file, "utf8")));
  const [file] = files;
  if (file === undefined || files.length > 1)
    throw new Error(`the seam does not fit: ${files.length} files of ${name} export ${wanted}`);
  return pathToFileURL(file).href;
}
