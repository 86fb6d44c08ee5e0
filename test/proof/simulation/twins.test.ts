import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type * as Product from "@hark/worker/internal";
import { expect, test } from "vitest";
import { check } from "./check.ts";
import { edited, root } from "./edits.ts";
import { type Twin, twins } from "./twins.ts";

/** More worlds than the product has to live through by default, so that a change of the worlds does not hide a twin. */
const runs = 1_000;

/** The worker's source with the edits, in a folder of its own; Node strips the types. */
async function load({ edits }: Twin): Promise<{ product: typeof Product } & AsyncDisposable> {
  const worker = join(root, "packages/worker");
  const folder = await mkdtemp(join(worker, "dist/.twin-"));
  await cp(join(worker, "src"), join(folder, "src"), { recursive: true });
  await symlink(join(worker, "node_modules"), join(folder, "node_modules"));
  for (const edit of edits) {
    const file = join(folder, "src", edit.file);
    await writeFile(file, edited(await readFile(file, "utf8"), edit));
  }
  const product = (await import(pathToFileURL(join(folder, "src/internal.ts")).href)) as typeof Product;
  return { product, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}

test.for(twins.map((twin) => [twin.name, twin] as const))(
  "a worker that %s is caught",
  { tags: ["FM-20", "OWNED-7"], timeout: 120_000 },
  async ([, twin]) => {
    await using loaded = await load(twin);
    const verdict = await check(loaded.product, {
      seed: 1,
      runs,
      isShrunk: false,
      ...(twin.bent && { bent: twin.bent }),
    });
    expect(verdict.report).toMatch(twin.says);
    process.stdout.write(`${twin.name}: caught in world ${verdict.runs}: ${verdict.report.split("\n")[0]}\n`);
  },
);
