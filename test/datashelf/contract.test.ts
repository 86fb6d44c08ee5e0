import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { backoffMs } from "@hark/core/internal";
import { JobManager, PostgresQueue, readEnvironment, urlJobs } from "pg-hark";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { root } from "../docs/blocks.ts";
import { run } from "../docs/terminal.ts";
import { eventually } from "../support/eventually.ts";
import { test } from "../support/job-manager.ts";
import { block, listOf, programOf, scoped } from "./contract.ts";

/* The blocks of contract.md as they stand there, but for the import lines. */

const setup = block("Basic Setup", "typescript");
const waitForAll = `while ((await jobManager.getStats()).completed < 4) await new Promise((go) => setTimeout(go, 50));`;
const makeDeadLetters = `jobManager.setJobProcessor(() => { throw new Error("Network timeout"); });
for (const page of [1, 2]) await jobManager.addJob({ type: "product", target_url: \`https://example.com/\${page}\` });
while ((await jobManager.getStats()).failed < 2) await new Promise((go) => setTimeout(go, 50));
await jobManager.stop(); // so that what is requeued stays
await jobManager.initialize();`;
const lock = block("Distributed Locking", "typescript");

const programs = {
  // Set up, add, monitor, requeue.
  "usage.ts": programOf(
    setup,
    scoped(`${block("Adding Jobs", "typescript")}console.log("added", typeof jobId);`),
    waitForAll,
    makeDeadLetters,
    scoped(block("Monitoring", "typescript")),
    scoped(block("Dead Letter Queue", "typescript")),
    `console.log("left", (await jobManager.getDeadLetterJobs()).length);
    await jobManager.stop();`,
  ),
  // Both kinds of callers have a \`queue\` to lock with.
  "locks.ts": programOf(
    `async function processJob(job: Job) { console.log("locked", job.target_url); }`,
    `const taken = new PostgresQueue();
    await taken.enqueue({ type: "product", target_url: "https://example.com/1" });
    const dequeued = (await taken.dequeue())!;
    await (async (job: Job, queue: PostgresQueue) => {\n${lock}\n})(dequeued, taken);
    await taken.completeJob(dequeued.id);
    await taken.close();`,
    `const jobManager = new JobManager();
    await jobManager.initialize();
    const done = Promise.withResolvers<void>();
    jobManager.setJobProcessor(async (job, queue) => {\n${lock}
      done.resolve();
      return { success: true, itemsProcessed: 1, errors: [], duration: 0 };
    });
    await jobManager.start();
    await jobManager.addJob({ type: "product", target_url: "https://example.com/2" });
    await done.promise;
    await jobManager.stop();`,
  ),
  "options.ts": programOf(`${block("JobManager Options", "typescript")}console.log(jobManager.health());`),
};

let folder: string; // in test/, so that its packages are found
beforeAll(async () => {
  folder = await mkdtemp(`${root}test/.scratch-`);
  for (const [file, text] of Object.entries(programs)) await writeFile(join(folder, file), text);
  const noOutput = { noEmit: true, composite: false, declaration: false, declarationMap: false };
  const compilerOptions = { ...noOutput, noUnusedLocals: false }; // a block may leave a name to the reader
  const config = { extends: "../../tsconfig.base.json", compilerOptions, include: ["*.ts"] };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify(config));
});
afterAll(() => rm(folder, { recursive: true }));

const runProgram = async (file: keyof typeof programs, env: Record<string, string>) => {
  const ran = await run(`exec '${process.execPath}' '${join(folder, file)}'`, env, 60_000);
  expect(ran.code, ran.said).toBe(0);
  return ran.output;
};

test("its code has no type errors", { timeout: 90_000 }, async () => {
  const tsc = promisify(execFile)(`${root}node_modules/.bin/tsc`, ["-p", folder, "--pretty", "false"]);
  const errors = await tsc.then(
    () => "",
    ({ stdout, stderr }: { stdout: string; stderr: string }) => stdout + stderr,
  );
  expect(errors).toBe("");
});

test("its code sets up an empty database, runs the jobs, and prints what its comments say", async ({ server }) => {
  const DATABASE_URL = await server.createDatabase();
  const output = await runProgram("usage.ts", {
    DATABASE_URL,
    SCRAPER_RETRY_ATTEMPTS: "1",
    SCRAPER_REQUEST_DELAY: "20",
  });

  expect(output.match(/^Processing .*$/gm)?.toSorted()).toEqual([
    "Processing category job: https://example.com/books",
    "Processing navigation job: https://example.com",
    "Processing product job: https://example.com/book/1",
    "Processing product job: https://example.com/product/123",
  ]);
  expect(output).toContain("added string\n");
  expect(output).toMatch(/^Queue stats: \{\s+queued: 0,\s+running: 0,\s+completed: 4,\s+failed: 2,/m);
  expect(output).toMatch(/^Health: unhealthy$/m); // it was stopped to keep the dead letters
  expect(output).toMatch(/^Failed jobs: 2$/m);
  expect(output).toMatch(/^left 0$/m);
});

test("its lock is taken and released by callers of a queue and by processors", async ({ ownUrl, sql }) => {
  const output = await runProgram("locks.ts", { DATABASE_URL: ownUrl });

  expect(output).toBe("locked https://example.com/1\nlocked https://example.com/2\n");
  expect((await sql.query("select from hark.locks")).rowCount).toBe(0);
});

test("a JobManager is made of its options alone, without a connection", async () => {
  const env = { DATABASE_URL: "postgres://nobody@127.0.0.1:1/none" };
  expect(await runProgram("options.ts", env)).toBe("{ isRunning: false, activeWorkers: 0 }\n");
});

test("a healthy JobManager says so", async ({ manage }) => {
  const manager = await manage(() => ({ success: true, itemsProcessed: 1, errors: [], duration: 0 }));
  await eventually(async () => (await manager.healthCheck()).status === "healthy", { withinMs: 55_000 });
});

test("its environment is read as it stands, and says what the defaults are", () => {
  const shown = block("Environment Variables", "bash")
    .split("\n")
    .flatMap((line) => /^(\w+)=(\S+)/.exec(line)?.slice(1, 3).join("=") ?? [])
    .map((line) => line.replace("REDIS_URL=redis:", "DATABASE_URL=postgres:").split("=") as [string, string]);
  expect(shown).toHaveLength(7);

  const { sources: given, ...settings } = readEnvironment(Object.fromEntries(shown));
  const { sources: _sources, ...defaults } = readEnvironment({ DATABASE_URL: settings.databaseUrl });

  expect(settings).toEqual(defaults);
  for (const [name] of shown) expect(given).toHaveProperty(name, "environment");
});

describe("its methods", () => {
  test.for(listOf("RedisQueue"))("%s", (line) => {
    const [, method = ""] = /^- `(\w+)\(/.exec(line)!;
    expect(PostgresQueue.prototype).toHaveProperty(method, expect.any(Function));
  });

  test("a JobManager has every method that the code calls", () => {
    const called = Object.values(programs).flatMap((text) => [...text.matchAll(/jobManager\.(\w+)\(/g)]);
    for (const [, method] of called) expect(JobManager.prototype).toHaveProperty(method!, expect.any(Function));
  });
});

describe("its job types", () => {
  test.for(["Navigation Jobs", "Category Jobs", "Product Jobs"])(
    "%s have a default priority in their range, and the example is accepted",
    async (heading, { manage, sql }) => {
      const text = listOf(heading).join("\n");
      const [, least, most] = /\*\*Priority\*\*: .*\((\d+)-(\d+)\)/.exec(text)!.map(Number);
      const [, type, target_url] = /\*\*Example\*\*: `\{ type: '(\w+)', target_url: '(\S+)' \}`/.exec(text)!;
      const manager = await manage();
      const id = await manager.addJob({ type: type!, target_url: target_url! });

      const { rows } = await sql.query("select id::text, priority from hark.jobs");
      expect(rows).toEqual([{ id, priority: expect.any(Number) }]);
      expect(rows[0].priority).toBeGreaterThanOrEqual(least!);
      expect(rows[0].priority).toBeLessThanOrEqual(most!);
    },
  );
});

test("retries wait as long as it says, with its jitter, and as many times", () => {
  const [backoff = "", jitter = "", attempts = ""] = listOf("Retry Logic");
  const seconds = [...backoff.matchAll(/(\d+)s/g)].map(([, text]) => Number(text));
  const share = Number(/±(\d+)%/.exec(jitter)![1]) / 100;
  expect(seconds).toEqual([1, 2, 4, 8, 16]);
  for (const job of urlJobs) {
    for (const [place, wait] of seconds.entries()) {
      const between = [0, 0.5, 1].map((chance) => backoffMs(job.backoff, place + 1, () => chance));
      expect(between.map(Math.round)).toEqual([1 - share, 1, 1 + share].map((factor) => factor * wait * 1_000));
    }
    expect(job.maxAttempts).toBe(Number(/default: (\d+)/.exec(attempts)![1]));
  }
});
