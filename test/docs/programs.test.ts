import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import pg from "pg";
import { afterAll, beforeAll, expect, inject } from "vitest";
import { test } from "../setup/fixtures.ts";
import { blocksOf, documents, nameOf, proofOf, root } from "./blocks.ts";
import { run } from "./terminal.ts";

/** How long a program of the README may take to end by itself, in ms. */
const programMs = 60_000;
const deadline = { timeout: programMs + 10_000 };

const blocks = documents().flatMap(blocksOf);
const programs = blocks
  .filter((block) => proofOf(block) === "program")
  .map((block, index) => ({ block, file: `program-${index}.ts` }));
const excerpts = blocks
  .filter((block) => proofOf(block) === "types")
  .map((block, index) => ({ block, file: `excerpt-${index}.ts` }));
const queries = blocks.filter((block) => proofOf(block) === "query");

/** In test/, so that its packages are found. */
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(`${root}test/.scratch-`);
  for (const { block, file } of [...programs, ...excerpts]) await writeFile(join(folder, file), block.text);
  await writeFile(
    join(folder, "tsconfig.json"),
    JSON.stringify({
      extends: "../../tsconfig.base.json",
      compilerOptions: { noEmit: true, composite: false, declaration: false, declarationMap: false },
      include: ["*.ts"],
    }),
  );
});
afterAll(() => rm(folder, { recursive: true }));

test("the programs of the documents have no type errors", deadline, async () => {
  const tsc = promisify(execFile)(`${root}node_modules/.bin/tsc`, ["-p", folder, "--pretty", "false"]);
  expect(
    await tsc.then(
      () => "",
      ({ stdout, stderr }: { stdout: string; stderr: string }) => stdout + stderr,
    ),
  ).toBe("");
});

/** What a program prints or leaves in the database, by text that it contains. */
const outcomes: [holds: string, outcome: (output: string, pool: pg.Pool) => Promise<void>][] = [
  [
    "createPayloadCipher(",
    async (output, pool) => {
      expect(output).toBe("QUEUE_FULL: try again in 1000 ms\n200\n403\n");
      const { rows } = await pool.query<{ text: string }>(
        "select payload::text as text from hark.finished_jobs where type = 'pay.charge'",
      );
      expect(rows.length).toBeGreaterThan(0);
      for (const { text } of rows) expect(text).toMatch(/^\{"hark:sealed": "v1\.2026-11\./);
    },
  ],
  [
    "schedules: [",
    async (output, pool) => {
      expect(output).toMatch(/^heartbeat 1000 null 20\S+Z\nmail\.digest 0 9 \* \* 1 Europe\/Zurich 20\S+Z\n$/);
      const { rows } = await pool.query("select from hark.finished_jobs where type = 'shop.beat'");
      expect(rows.length).toBeGreaterThan(0);
    },
  ],
  [
    "completeIn(",
    async (_output, pool) => {
      const { rows: charged } = await pool.query(
        "select account from charges join hark.finished_jobs on id = job_id where state = 'completed'",
      );
      expect(charged).toEqual([{ account: "ada" }]);
    },
  ],
  [
    "createLocks(",
    async (_output, pool) => {
      const { rows: visits } = await pool.query("select url from visits");
      expect(visits).toEqual([{ url: "https://books.example/" }]);
    },
  ],
  [
    "new JobManager({\n",
    async (output) => {
      expect(output).toContain('product https://books.example/b/1 {"shelf":"a"}, attempt 1 of 3\n');
      expect(output).toMatch(/completed: \d+/);
    },
  ],
  [
    "new PostgresQueue(",
    async (_output, pool) => {
      const { rows: jobs } = await pool.query(
        "select state from hark.finished_jobs where payload ->> 'target_url' = 'https://books.example/c/poetry'",
      );
      expect(jobs).toEqual([{ state: "completed" }]);
    },
  ],
  [
    "startServer(",
    async (output) => {
      expect(output.match(/success: true/g)).toHaveLength(3);
      expect(output.match(/success: false/g)).toHaveLength(1); // no dead letter to requeue
    },
  ],
];

test.for(programs.map(({ block, file }) => [nameOf(block), block, file] as const))(
  "%s ends by itself with the expected outcome",
  deadline,
  async ([, { text }, file], { server }) => {
    const copy = await server.createDatabase(undefined, { template: inject("template") });
    await using pool = withEnd(new pg.Pool({ connectionString: copy, max: 1 }));
    const ran = await run(`exec '${process.execPath}' '${join(folder, file)}'`, { DATABASE_URL: copy }, programMs);

    expect(ran.code, ran.said).toBe(0);
    expect(complaints(ran.errors)).toEqual([]);
    const printed = [...text.matchAll(/^\/\/ Prints: (.*)$/gm)].map(([, line]) => `${line}\n`);
    if (printed.length > 0) return expect(ran.output).toBe(printed.join(""));
    const found = outcomes.find(([holds]) => text.includes(holds));
    expect(found, "a program without an outcome: end it with `// Prints: ...`, or add one to `outcomes`").toBeDefined();
    await found![1](ran.output, pool);
  },
);

/** A pool that ends with its scope. */
function withEnd(pool: pg.Pool): pg.Pool & AsyncDisposable {
  return Object.assign(pool, { [Symbol.asyncDispose]: () => pool.end() });
}

test.for(queries.map((block) => [nameOf(block), block.text] as const))(
  "%s runs on the schema",
  async ([, text], { pool }) => {
    await expect(pool.query(text)).resolves.toHaveProperty("rows");
  },
);

/**
 * What a program wrote to stderr, except log lines below "error", pino's level 50: a slow machine
 * causes warnings.
 */
function complaints(errors: string): string[] {
  return errors
    .split("\n")
    .filter((line) => line !== "" && !(line.startsWith("{") && (JSON.parse(line) as { level: number }).level < 50));
}
