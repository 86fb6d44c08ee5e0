import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { defineJob, silentLogger } from "@hark/core";
import { createWorker, implement, type WorkerOptions } from "@hark/worker";
import { expect } from "vitest";
import { eventually } from "../support/eventually.ts";
import { test as base } from "../support/fixtures.ts";
import { untilState } from "../support/jobs.ts";
import { recordingLogger } from "../support/recording-logger.ts";

/** `preload` writes a file that Node loads before a program. */
const test = base.extend("preload", async ({}, { onCleanup }) => {
  const folder = await mkdtemp(join(tmpdir(), "hark-preload-"));
  onCleanup(() => rm(folder, { recursive: true, force: true }));
  return async (name: string, code: string) => {
    const file = join(folder, name);
    await writeFile(file, code);
    return file;
  };
});

const job = defineJob("test.life");
const optionsFor = (connectionString: string, more: Partial<WorkerOptions> = {}): WorkerOptions => ({
  connectionString,
  handlers: [implement(job, () => {})],
  logger: silentLogger,
  ...more,
});

test(
  "a stop before the start ends the worker, and start() and run() are refused",
  { tags: ["FM-74"] },
  async ({ databaseUrl }) => {
    const worker = createWorker(optionsFor(databaseUrl));
    await Promise.all([worker.stop(), worker.stop("now"), worker.stop()]);
    expect(worker.health().state).toBe("stopped");
    for (const start of [() => worker.start(), () => worker.run()])
      await expect(start()).rejects.toMatchObject({ code: "WORKER_STOPPED" });
    expect(process.listenerCount("SIGTERM")).toBe(0);
  },
);

test(
  "start() during and after a stop is refused, and the stop goes on",
  { tags: ["FM-74"] },
  async ({ databaseUrl }) => {
    await using worker = createWorker(optionsFor(databaseUrl));
    await Promise.all([worker.start(), worker.start()]);
    const stopped = worker.stop();
    await expect(worker.start()).rejects.toMatchObject({ code: "WORKER_STOPPED" });
    await stopped;
    await expect(worker.start()).rejects.toThrow("Make a new one");
    expect(worker.health().state).toBe("stopped");
  },
);

test(
  "a start that failed may be called again, and listeners stay",
  { tags: ["FM-74"] },
  async ({ db, producer, proxy, queue }) => {
    const ofQueue = defineJob("test.again", { queue });
    await proxy.set("refuse");
    await using worker = createWorker(optionsFor(proxy.url, { handlers: [implement(ofQueue, () => {})] }));
    const settled: bigint[] = [];
    worker.events.on("settled", ({ id }) => settled.push(id));
    for (let tries = 0; tries < 2; tries += 1)
      await expect(worker.start()).rejects.toMatchObject({ code: "DATABASE_UNREACHABLE" });

    await proxy.set("ok");
    await worker.start();
    const { id } = await producer.enqueue(ofQueue, {});

    await untilState(db, id, "completed");
    await expect.poll(() => settled).toEqual([id]);
  },
);

/** Runs a program in a process of its own. */
async function program(code: string, databaseUrl: string, env: Record<string, string> = {}) {
  const child = spawn(process.execPath, ["--input-type=module", "--eval", code], {
    env: { ...process.env, DATABASE_URL: databaseUrl, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [[exitCode], stderr] = await Promise.all([once(child, "exit"), text(child.stderr)]);
  return { exitCode: exitCode as number | null, stderr };
}

const head = `
import { createWorker, implement } from ${JSON.stringify(import.meta.resolve("@hark/worker"))};
import { defineJob } from ${JSON.stringify(import.meta.resolve("@hark/core"))};
const worker = createWorker({
  connectionString: process.env.DATABASE_URL,
  handlers: [implement(defineJob("test.life"), () => {})],
});`;

test.for([
  [
    "run() resolves when the worker is stopped by code",
    `worker.start().then(() => worker.stop()); await worker.run();`,
  ],
  [
    "two calls of run() are one",
    `setTimeout(() => worker.stop(), 300); await Promise.all([worker.run(), worker.run()]);`,
  ],
  ["a signal comes while it starts", `const end = worker.run(); process.kill(process.pid, "SIGTERM"); await end;`],
  ["it is left by await using", `{ await using one = worker; await one.start(); }`],
])("a process ends with exit code 0: %s", { tags: ["FM-74"] }, async ([, code], { databaseUrl }) => {
  expect(await program(`${head}\n${code}`, databaseUrl)).toMatchObject({ exitCode: 0 });
});

test(
  "a signal while the database does not answer ends the start with exit code 0",
  { tags: ["FM-74"] },
  async ({ proxy }) => {
    await proxy.set("hole");
    const code = `const end = worker.run(); process.kill(process.pid, "SIGTERM"); await end;`;
    expect(await program(`${head}\n${code}`, proxy.url)).toMatchObject({ exitCode: 0 });
  },
);

test("a worker says which of its handlers are of a queue that it does not serve", async ({ databaseUrl, queue }) => {
  const logger = recordingLogger();
  const served = implement(defineJob("test.served", { queue }), () => {});
  await using worker = createWorker(
    optionsFor(databaseUrl, { handlers: [served, implement(job, () => {})], queues: { [queue]: 1 }, logger }),
  );
  await worker.start();
  const warnings = logger.lines.filter(({ level }) => level === "warn");
  expect(warnings).toMatchObject([{ facts: { type: "test.life", queue: "default", queues: [queue] } }]);
});

const preloads: [option: string, name: string, code: string][] = [
  [
    "--import",
    "preload.mjs",
    `import { isMainThread } from "node:worker_threads"; if (!isMainThread) throw new Error("in a thread");`,
  ],
  ["--require", "preload.cjs", `if (!require("node:worker_threads").isMainThread) throw new Error("in a thread");`],
];

test.for(preloads)(
  "what NODE_OPTIONS load by %s is not loaded into the lease thread",
  { tags: ["FM-74"] },
  async ([option, name, code], { databaseUrl, preload }) => {
    const file = await preload(name, code);
    const started = `await worker.start(); await worker.stop();`;
    const ended = await program(`${head}\n${started}`, databaseUrl, { NODE_OPTIONS: `${option} ${file}` });
    expect(ended).toMatchObject({ exitCode: 0 });
    expect(ended.stderr).not.toContain("in a thread");
  },
);

test(
  "a worker that npm started stops when npm has ended, which no signal tells it",
  { tags: ["FM-73"] },
  async ({ databaseUrl }) => {
    const code = `${head}\nsetTimeout(() => console.error("RUNS"), 1); await worker.run(); console.error("STOPPED");`;
    // The shell that npm starts. It waits for the worker, and does not pass on its signals.
    const shell = spawn("sh", ["-c", `"${process.execPath}" --input-type=module --eval "$CODE"; true`], {
      env: { ...process.env, DATABASE_URL: databaseUrl, CODE: code, npm_lifecycle_event: "start" },
      stdio: ["ignore", "ignore", "pipe"],
    });
    const said: string[] = [];
    const closed = once(shell, "close");
    shell.stderr.on("data", (chunk) => said.push(String(chunk)));
    await eventually(() => said.join("").includes("RUNS"), { withinMs: 30_000, what: "its start" });
    shell.kill("SIGTERM");
    await closed; // the worker has closed its stderr
    expect(said.join("")).toContain("STOPPED");
  },
);
