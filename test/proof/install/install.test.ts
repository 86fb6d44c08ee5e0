import { appendFile, cp, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, inject, vi } from "vitest";
import { test as base } from "../../setup/fixtures.ts";
import { footprintsOf, inWords } from "./footprint.ts";
import { frozenCalls } from "./lambda.ts";
import { answersAndWorks } from "./next-server.ts";
import { Project } from "./project.ts";
import { packAll, type Tarballs } from "./tarballs.ts";
import { compilerOptions, rowTypes, versionSets } from "./versions.ts";

/*
 * Projects of users, made from the packed packages, and run by the code blocks of
 * docs/how-to/install.md as they are printed there.
 */

vi.setConfig({ testTimeout: 900_000, hookTimeout: 400_000 });

const page = "docs/how-to/install.md";

let tarballs: Tarballs;
beforeAll(async () => void (tarballs = await packAll()));
afterAll(async () => tarballs[Symbol.asyncDispose]());

/** `make` gives a project with a migrated database of its own. */
const test = base.extend("make", async ({ server }, { onCleanup }) => {
  const projects: Project[] = [];
  onCleanup(async () => void (await Promise.all(projects.map((project) => project[Symbol.asyncDispose]()))));
  return async (options: Parameters<typeof Project.make>[2] = {}) => {
    const url = await server.createDatabase(undefined, { template: inject("template") });
    const project = await Project.make(tarballs, url, options);
    projects.push(project);
    return { project, url };
  };
});

/** Runs the one job of the database. */
const workOne = `
  const { createWorker, defineJob, implement } = require("pg-hark");
  const handlers = [implement(defineJob("kept"), () => { console.log("ran"); void worker.stop(); })];
  const worker = createWorker({ connectionString: process.env.DATABASE_URL, handlers });
  void worker.start();`;

/** Copies a file or folder to a folder of its own, far from any node_modules, for `work`. */
async function elsewhere<Answer>(path: string, work: (folder: string) => Promise<Answer>): Promise<Answer> {
  const folder = await mkdtemp(join(tmpdir(), "hark-elsewhere-"));
  try {
    await cp(path, folder, { recursive: true });
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test("one install brings the library and the command, and the demo runs from it", async ({ make }) => {
  const { project } = await make();
  expect(await project.run("npx hark --version")).toMatch(/^\d+\.\d+\.\d+\n$/);
  expect(await project.run("npx pg-hark demo")).toMatch(/In the end: 7 jobs completed, 1 dead letter/);
  expect(await project.run("npx hark doctor")).toMatch(/ok +schema +version \d+/);
  await appendFile(
    join(project.folder, "node_modules/@hark/worker/dist/lease/lease-thread.js"),
    `console.log("lease thread");`,
  );
  expect(await project.run("npx hark demo"), "the thread runs from its file, with the project's pg").toContain(
    "lease thread",
  );
  for (const name of ["pg-hark", "@hark/core", "@hark/producer", "@hark/worker", "@hark/cli"]) {
    const files = await readdir(join(project.folder, "node_modules", name));
    expect(files, name).toEqual(expect.arrayContaining(["LICENSE", "README.md", "package.json"]));
  }
});

test.for(versionSets.map((set) => [set.join(", "), set] as const))(
  "types and transactions fit %s",
  async ([, also], { make }) => {
    const { project } = await make({ also: [...also, "@types/node@24"], manifest: { type: "module" } });
    await project.follow(page, "types");
    await project.write("rows.ts", rowTypes);
    await project.write("rows.cts", rowTypes);
    await project.write("tsconfig.json", JSON.stringify({ compilerOptions, include: ["*"] }));
    await project.run("tsc --skipLibCheck");
    // Other packages have errors in their own declarations, for drivers that are not installed.
    const all = await project.run("tsc --skipLibCheck false --pretty false || true");
    expect(all.split("\n").filter((line) => /^node_modules\/(@hark|pg-hark)\//.test(line))).toEqual([]);
    expect(await project.run("node main.ts")).toBe(
      `${inspect(["ready", "ready"].map((state) => ({ state, key: null })))}\n`,
    );
  },
);

describe.each(["0.31.11", "1.0.0-rc.5"])("drizzle-kit %s", (kit) => {
  test("brings Hark's schema, then finds nothing to do, and keeps its jobs", async ({ make, server }) => {
    const orm = kit.startsWith("0.") ? "0.45.4" : kit;
    const { project } = await make({ also: [`drizzle-kit@${kit}`, `drizzle-orm@${orm}`, "pg"] });
    const url = await server.createDatabase();
    await project.follow("docs/how-to/drizzle-kit.md", "drizzle", { DATABASE_URL: url });

    const db = new pg.Client({ connectionString: url });
    await db.connect();
    try {
      const ask = async (text: string) => (await db.query<Record<string, unknown>>(text)).rows[0]!;
      await db.query("select hark.enqueue('kept', '{}')");
      const made = await ask("select count(*)::int as n from pg_class where relnamespace = 'hark'::regnamespace");
      await project.write(
        "src/schema.ts",
        (await readFile(join(project.folder, "src/schema.ts"), "utf8")).replace(
          "isbn: text",
          "title: text(), isbn: text",
        ),
      );
      await project.run("npx drizzle-kit generate && npx drizzle-kit migrate && npx drizzle-kit push", {
        env: { DATABASE_URL: url },
      });
      expect(await ask("select count(*)::int as n from pg_class where relnamespace = 'hark'::regnamespace")).toEqual(
        made,
      );
      expect(await ask("select count(*)::int as n from hark.jobs")).toEqual({ n: 1 });
      expect(await ask("select title, isbn from books right join (values (1)) one (n) on true")).toEqual({
        title: null,
        isbn: null,
      });
    } finally {
      await db.end();
    }
    const worked = await project.run(`node -e '${workOne}'`, { env: { DATABASE_URL: url } });
    expect(worked).toBe("ran\n");
  });
});

test("CommonJS", async ({ make }) => {
  const { project } = await make();
  await project.follow(page, "commonjs");
});

test("esbuild, in one file that runs where nothing is installed", async ({ make }) => {
  const { project } = await make({ manifest: { type: "module" } });
  await project.follow(page, "esbuild");
  await elsewhere(join(project.folder, "dist"), async (cwd) => {
    for (const file of ["main.cjs", "main.mjs"])
      expect(await project.run(`node ${file}`, { cwd })).toBe("sent { email: 'ada@example.com' }\n");
  });
});

test("AWS Lambda, in one file, frozen between calls while its connections end", async ({ make, pool }) => {
  const { project, url } = await make();
  await project.follow(page, "lambda");
  await elsewhere(join(project.folder, "dist"), async (cwd) => {
    expect(await frozenCalls(project, cwd, url, pool)).toEqual([202, 202, 202]);
  });
});

describe.each(["", "--webpack"])("Next.js standalone, built with next build %s", (flags) => {
  test("enqueues in a route and works in its own server", async ({ make }) => {
    const { project } = await make();
    await project.write("app/layout.jsx", "export default ({ children }) => <html><body>{children}</body></html>;\n");
    await project.write("app/page.jsx", "export default () => <p>Hark</p>;\n");
    await project.write("next.config.mjs", `export default { output: "standalone" };\n`);
    if (flags === "") await project.follow(page, "next");
    else {
      await project.follow(page, "next");
      await project.run(`rm -rf .next && npx next build ${flags}`);
    }
    await elsewhere(join(project.folder, ".next/standalone"), (cwd) => answersAndWorks(project, cwd));
  });
});

test("Jest", async ({ make }) => {
  const { project } = await make();
  await project.follow(page, "jest");
});

test("Vitest with every pool", async ({ make }) => {
  const { project } = await make();
  await project.follow(page, "vitest");
});

test("Bun, from sources and as a bundle that runs where nothing is installed", async ({ make }) => {
  const { project } = await make({ also: ["bun"], manifest: { type: "module" } });
  await project.run("node node_modules/bun/install.js"); // npm may be told to run no install scripts
  await project.follow(page, "bun");
  await elsewhere(join(project.folder, "dist"), async (cwd) => {
    expect(await project.run("bun run main.js", { cwd })).toContain("ada@example.com");
  });
});

test("loading a producer costs less than half of what pg-boss costs, and stats do not load more", async ({ make }) => {
  const { project } = await make({ also: ["pg-boss", "graphile-worker"] });
  const load = (name: string) => `await import("${name}");`;
  const connect = `const { openDatabase, getStats } = await import("pg-hark");
    const db = openDatabase({ connectionString: process.env.DATABASE_URL });
    await db.query({ text: "select 1", values: [] });`;
  const found = await footprintsOf(project, {
    "@hark/producer": load("@hark/producer"),
    "pg-hark": load("pg-hark"),
    "pg-hark, connected": connect,
    "pg-hark, with stats": `${connect} await getStats(db);`,
    "pg-boss": load("pg-boss"),
    "graphile-worker": load("graphile-worker"),
  });
  process.stdout.write(inWords(found, "pg-boss"));
  const [producer, , connected, withStats, boss] = found;
  expect(producer!.ms).toBeLessThan(0.6 * boss!.ms);
  expect(producer!.mb).toBeLessThan(0.6 * boss!.mb);
  expect(withStats!.ms - connected!.ms).toBeLessThan(boss!.ms);
  expect(withStats!.mb - connected!.mb).toBeLessThan(boss!.mb);
});

test("a Node that is too old gets one sentence", async ({ make }) => {
  const { project } = await make({ also: ["node@20"] });
  await project.write("main.mjs", `import "pg-hark";\n`);
  const failed = await project.run("node_modules/node/bin/node main.mjs").catch((error: Error) => error.message);
  expect(failed).toMatch(/UnsupportedNodeError: Hark needs Node 22\.12\.0 or newer, and this is Node 20\.\d+\.\d+\./);
});
