import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { ownPostgres } from "./own-postgres.ts";

/**
 * Runs a TypeScript file with a database: `npm run dev -- examples/queueUsage.ts`. The file has to
 * end by itself, since an embedded database is removed then.
 */
async function main([file]: string[]): Promise<number> {
  const path = file === undefined ? undefined : find(file);
  if (path === undefined) {
    const what = file === undefined ? "Name the file to run" : `There is no file ${file}`;
    process.stderr.write(`${what}, as in: npm run dev -- examples/queueUsage.ts\n`);
    return 2;
  }
  const stop = await ownPostgres((line) => process.stdout.write(`${line}\n`));
  const interrupted = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => interrupted.resolve());
  try {
    const imported = import(pathToFileURL(path).href).then(() => 0);
    return await Promise.race([imported, interrupted.promise.then(() => 130)]);
  } finally {
    await stop();
  }
}

/** Examples stand in examples/. In a project of one package they would stand in src/examples/. */
function find(file: string): string | undefined {
  return [file, file.replace(/^src\//, "")].map((path) => resolve(path)).find((path) => existsSync(path));
}

// What an interrupted file leaves open must not keep the process.
process.exit(await main(process.argv.slice(2)));
