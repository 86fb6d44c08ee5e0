import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { test } from "../../support/fixtures.ts";
import { insertJob } from "../../support/jobs.ts";

const main = fileURLToPath(new URL("../../support/worker-main.ts", import.meta.url));

/** A worker in a process of its own, behind a command that starts it, whose stderr is kept. */
function startWorker(command: readonly string[], options: object) {
  const [file, ...args] = [...command, process.execPath, main, JSON.stringify(options)];
  const child = spawn(file, args, { stdio: ["ignore", "ignore", "pipe"] });
  const ended = Promise.all([text(child.stderr), once(child, "exit")]);
  return { child, ended };
}

const canBeProcessOne = spawnSync("unshare", ["--pid", "--fork", "--mount-proc", "true"]).status === 0;

test.for([
  ["of its own", [] as string[], true],
  ["1 of a container", ["unshare", "--pid", "--fork", "--mount-proc"], canBeProcessOne],
] as const)(
  "a worker whose event loop hangs says where on stderr and ends, as process %s",
  { tags: ["FM-18", "FM-73"], timeout: 200_000 },
  async ([, command, isPossible], { db, databaseUrl, queue, ledger, skip }) => {
    if (!isPossible) skip("this login may not make a namespace of processes");
    const worker = startWorker(command, { databaseUrl, queue, ledgerFile: ledger.file });
    await insertJob(db, { queue, type: "test.task", payloadJson: `{"does": "hang"}` });
    await ledger.until("started", 1, 60_000);

    const [stderr, [code, signal]] = await worker.ended; // after a minute
    expect(code === 137 || signal === "SIGKILL").toBe(true);
    expect(stderr).toContain("the event loop has not turned for 60 s");
    expect(stderr).toMatch(/this is where it hangs/);
    expect(stderr).toContain("worker-main.ts");
  },
);

test(
  "a worker with the default times ends within 30 s of SIGTERM, though the database never answers again",
  { tags: ["FM-73"], timeout: 200_000 },
  async ({ db, proxy, queue, ledger }) => {
    const { child, ended } = startWorker([], { databaseUrl: proxy.url, queue, ledgerFile: ledger.file });
    const jobs = ["ignore", "sleep"].map((does) => JSON.stringify({ does, ms: does === "ignore" ? 300_000 : 1_000 }));
    for (const payloadJson of jobs) await insertJob(db, { queue, type: "test.task", payloadJson });
    await ledger.until("started", jobs.length, 60_000);
    await proxy.set("hole");
    await eventually(() => ledger.of("ended").length === 1, { withinMs: 60_000, what: "an outcome to be written" });

    const signalledAt = performance.now();
    child.kill("SIGTERM");
    const [, [code]] = await ended;
    expect(code).toBe(0);
    expect(performance.now() - signalledAt).toBeLessThan(30_000); // after which Kubernetes kills
  },
);
