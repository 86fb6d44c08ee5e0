import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import type { JobDefinition } from "@hark/core";
import type { Handler } from "@hark/worker";
import { build, type BuildOptions, type BuildResult } from "esbuild";
import { parseSync, Visitor } from "oxc-parser";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { test } from "../support/fixtures.ts";
import { untilState } from "../support/jobs.ts";

/*
 * What keeps Hark fit for bundlers, without the projects of `pnpm run proof install`.
 */

const here = fileURLToPath(new URL(".", import.meta.url));
const packages = fileURLToPath(new URL("../../packages/", import.meta.url));
const run = promisify(execFile);

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), "hark-bundle-"))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const producing = `
  import { createProducer, defineJob } from "pg-hark";
  const producer = createProducer({ connectionString: process.env.DATABASE_URL! });
  producer.enqueue(defineJob("bundled"), { a: 1 }).then(({ status }) => { console.log(status); void producer.close(); });`;
const working = `
  import { createProducer, createWorker, defineJob, implement, UnrecoverableError } from "pg-hark";
  const connectionString = process.env.DATABASE_URL!;
  const job = defineJob("bundled", { queue: "bundled" });
  const handler = implement(job, () => { console.log("ran"); void worker.stop(); });
  const worker = createWorker({ connectionString, handlers: [handler] });
  async function main() {
    await worker.start();
    await worker.whenListening();
    const producer = createProducer({ connectionString });
    await producer.enqueue(job, {});
    await producer.close();
  }
  void main();`;

/** What everybody puts at the head of ES modules that contain CommonJS. */
const banner = { js: `import { createRequire } from "node:module"; const require = createRequire(import.meta.url);` };

/** Bundles a program into one file, and returns the file. */
async function bundle(name: string, contents: string, options: BuildOptions & { format: "cjs" | "esm" }) {
  const outfile = join(folder, name, `program.${options.format === "cjs" ? "cjs" : "mjs"}`);
  const made: BuildResult<{ metafile: true }> = await build({
    stdin: { contents, resolveDir: here, loader: "ts" },
    bundle: true,
    platform: "node",
    target: "node22",
    outfile,
    metafile: true,
    logLevel: "silent",
    ...(options.format === "esm" && { banner }),
    ...options,
  });
  return { outfile, inputs: Object.keys(made.metafile.inputs) };
}

async function outputOf(file: string, databaseUrl: string): Promise<string> {
  const env = { ...process.env, DATABASE_URL: databaseUrl, LOG_LEVEL: "warn" };
  const { stdout, stderr } = await run(process.execPath, [file], { env, cwd: folder, timeout: 50_000 });
  return stdout + stderr;
}

describe.each(["cjs", "esm"] as const)("in one file, as %s,", (format) => {
  test("a producer enqueues", async ({ databaseUrl }) => {
    const { outfile } = await bundle(`producer-${format}`, producing, { format });
    expect(await outputOf(outfile, databaseUrl)).toBe("inserted\n");
  });

  test("a worker runs a job", async ({ databaseUrl }) => {
    const { outfile } = await bundle(`worker-${format}`, working, { format });
    expect(await outputOf(outfile, databaseUrl)).toBe("ran\n");
  });
});

test("a worker whose lease thread has its file but not what that imports runs a job", async ({ databaseUrl }) => {
  const { outfile } = await bundle("traced", working, { format: "esm" });
  const dist = join(folder, "node_modules/@hark/worker/dist");
  mkdirSync(join(dist, "lease"), { recursive: true });
  writeFileSync(join(dist, "package.json"), `{"type":"module"}`);
  const program = join(dist, "index.js"); // where the file would be found
  writeFileSync(program, readFileSync(outfile));
  writeFileSync(join(dist, "lease/lease-thread.js"), `import "a-package-that-was-not-traced";`);
  expect(await outputOf(program, databaseUrl)).toBe("ran\n");
});

test("a producer contains no part of a worker, and no pg-format", async () => {
  const contents = producing.replace(`"pg-hark"`, `"@hark/producer"`);
  const { inputs } = await bundle("producer-alone", contents, { format: "esm" });
  expect(inputs.filter((file) => /packages\/worker|pg-listen|pg-format|drizzle-orm|hono|zod|pino/.test(file))).toEqual(
    [],
  );
});

/** Whether the code reads `import.meta` or CommonJS variables while it is loaded. */
function readsItsPlaceAtLoad(source: string): boolean {
  let depth = 0;
  let found = false;
  const enter = () => void (depth += 1);
  const leave = () => void (depth -= 1);
  new Visitor({
    FunctionDeclaration: enter,
    "FunctionDeclaration:exit": leave,
    FunctionExpression: enter,
    "FunctionExpression:exit": leave,
    ArrowFunctionExpression: enter,
    "ArrowFunctionExpression:exit": leave,
    MetaProperty: (node) => void (found ||= depth === 0 && node.meta.name === "import"),
    Identifier: ({ name }) => void (found ||= depth === 0 && /^__(dir|file)name$/.test(name)),
  }).visit(parseSync("file.js", source).program);
  return found;
}

test("no published file asks where it is while it is loaded", () => {
  expect(readsItsPlaceAtLoad("export const here = import.meta.dirname;")).toBe(true);
  expect(readsItsPlaceAtLoad("export const here = () => import.meta.dirname;")).toBe(false);
  const files = readdirSync(packages, { recursive: true, encoding: "utf8" }).filter(
    (file) => /^[\w-]+\/dist\/.*\.js$/.test(file) && !file.includes(".test."),
  );
  expect(files.length).toBeGreaterThan(100);
  expect(files.filter((file) => readsItsPlaceAtLoad(readFileSync(join(packages, file), "utf8")))).toEqual([]);
});

test("on a Node that is too old, the import says which one it needs", async () => {
  const old = `data:text/javascript,Object.defineProperty(process,"versions",{value:{...process.versions,node:"20.19.0"}})`;
  for (const name of ["pg-hark", "@hark/producer", "@hark/worker"]) {
    const failed = await run(process.execPath, ["--import", old, "--input-type=module", "-e", `import "${name}"`], {
      cwd: here,
    }).catch((error: { stderr: string }) => error.stderr);
    expect(failed, name).toMatch(
      /^UnsupportedNodeError: Hark needs Node 22\.12\.0 or newer, and this is Node 20\.19\.0\./m,
    );
  }
});

test("a worker knows the errors that a handler throws out of a bundle of its own", async ({
  db,
  producer,
  startWorker,
}) => {
  const handlers = `
    import { defineJob, implement, RetryAfterError, SnoozeError, UnrecoverableError } from "pg-hark";
    const of = (type: string) => defineJob(type, { queue: "copies", retry: { attempts: 5 } });
    let snoozes = 0;
    let tries = 0;
    export const handlers = [
      implement(of("copy.fatal"), () => { throw new UnrecoverableError("no use"); }),
      implement(of("copy.snooze"), () => { if ((snoozes += 1) < 3) throw new SnoozeError(1); }),
      implement(of("copy.later"), () => { if ((tries += 1) < 2) throw new RetryAfterError(1); }),
    ];`;
  const { outfile } = await bundle("handlers", handlers, { format: "esm" });
  const bundled = (await import(pathToFileURL(outfile).href)) as { handlers: Handler[] };
  const [fatal, snooze, later] = bundled.handlers.map(({ job }) => job);
  await startWorker(bundled.handlers);

  const ends = async (job: JobDefinition, state: "dead" | "completed") => {
    const { id } = await producer.enqueue(job, {});
    const { attempt, reason } = await untilState(db, id, state);
    return { attempt, reason };
  };
  expect(await ends(fatal!, "dead")).toEqual({ attempt: 1, reason: "unrecoverable" });
  expect(await ends(snooze!, "completed")).toMatchObject({ attempt: 1 });
  expect(await ends(later!, "completed")).toMatchObject({ attempt: 2 });
});
