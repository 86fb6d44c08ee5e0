import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { root } from "../../docs/blocks.ts";

/** How long packing may take, in ms. It builds the packages: 20 s on two cores. */
const packMs = 300_000;

/** The packed packages. Disposing removes them. */
export interface Tarballs extends AsyncDisposable {
  /** Absolute paths, one for each published package. */
  readonly files: readonly string[];
}

/** Packs all published packages, as a release does. */
export async function packAll(): Promise<Tarballs> {
  const folder = await mkdtemp(join(tmpdir(), "hark-tarballs-"));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    await promisify(execFile)(process.execPath, [".ci/pack.mjs", folder], { cwd: root, timeout: packMs });
    const files = (await readdir(folder)).filter((file) => file.endsWith(".tgz")).map((file) => join(folder, file));
    return { files, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    throw error;
  }
}
