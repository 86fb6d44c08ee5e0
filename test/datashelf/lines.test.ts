import { readdirSync, readFileSync } from "node:fs";
import { expect, onTestFinished } from "vitest";
import { root } from "../docs/blocks.ts";
import { run, Terminal } from "../docs/terminal.ts";
import { test } from "../setup/fixtures.ts";
import { eventually } from "../support/eventually.ts";
import { commandsOf, listOf } from "./contract.ts";

/*
 * The command lines of contract.md. test/proof/docs/datashelf-lines.test.ts runs those of npm test.
 */

const deadline = { timeout: 150_000 };

test("npm start runs the service with its API, logs what it does, and stops in order", deadline, async ({ server }) => {
  const [line = ""] = commandsOf("Debugging");
  expect(line).toBe("LOG_LEVEL=debug npm start");
  const env = { DATABASE_URL: await server.createDatabase(), PORT: "0" };
  const service = new Terminal(line, env);
  onTestFinished(() => service.end());
  const [, url = ""] = await service.says(/^The API answers at (\S+)\/api\/queue\/stats\./m, 120_000);
  expect(service.output).toMatch(/^ +LOG_LEVEL +debug {2}\(environment\)$/m);

  const added = await fetch(`${url}/api/queue/jobs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ type: "product", target_url: `${url}/no-such-page` }),
  });
  expect(added.status).toBe(201);
  const messages = () => service.errors.split("\n").flatMap((text) => /"msg":"([^"]+)"/.exec(text)?.[1] ?? []);
  await eventually(() => messages().includes("job is a dead letter"), { withinMs: 60_000, what: "the log" });
  expect(messages()).toEqual(expect.arrayContaining(["migrated the database", "worker started", "job started"]));
  const dead = (await (await fetch(`${url}/api/queue/dead-letter?limit=10`)).json()) as any;
  expect(dead.data).toMatchObject([{ last_error: expect.stringContaining("404") }]);

  service.signalGroup("SIGINT");
  await service.exited;
  expect(messages()).toContain("worker stopped");
});

test("npm run dev runs the example, which shows everything that it is to show", deadline, async ({ server }) => {
  const [line = ""] = commandsOf("Example Implementation");
  const ran = await run(line, { DATABASE_URL: await server.createDatabase() }, 120_000);

  expect(ran.code, ran.said).toBe(0);
  const shown: Record<string, RegExp[]> = {
    "Job manager initialization": [/^initialised: /m],
    "Adding different types of jobs": [/^added a navigation job: 1$/m, /^added 5 more: 2, 3, 4, 5, 6$/m],
    "Processing jobs with simulated work": ["navigation", "category", "product"].map(
      (type) => new RegExp(`^processing ${type} job: https:\\S+ \\(attempt 1 of 2\\)$`, "m"),
    ),
    "Error handling and retries": [
      /^processing product job: \S+\/busy \(attempt 2 of 2\)$/m,
      /^dead letter: \S+\/gone after 2 attempts: Network timeout$/m,
      /^requeued 6$/m,
      /^deleted dead letters: 1$/m,
    ],
    "Queue monitoring and statistics": [
      /^queue stats: \{ queued: 0, running: 0, completed: 5, failed: 1 \}$/m,
      /^health: healthy, with a pool of 3$/m,
    ],
  };
  expect(listOf("Example Implementation").map((item) => item.slice(2))).toEqual(Object.keys(shown));
  for (const pattern of Object.values(shown).flat()) expect(ran.output).toMatch(pattern);
  expect(ran.output).toMatch(/^stopped: /m);
});

test("npm run dev says how it is used when there is no such file", deadline, async () => {
  const ran = await run("npm run dev -- nowhere.ts", {}, 60_000);
  expect([ran.code, ran.errors]).toEqual([2, expect.stringContaining("There is no file nowhere.ts")]);
});

test("each line of npm test names test files, and npm passes the names on", () => {
  const files = readdirSync(`${root}test`, { recursive: true, encoding: "utf8" });
  const [all, ...named] = commandsOf("Testing");
  expect([all, named.length]).toEqual(["npm test", 3]);
  for (const line of named) {
    const [, name = ""] = /^npm test (\S+)$/.exec(line)!;
    expect(files.filter((file) => file.endsWith(`/${name}`)).length, line).toBe(1);
  }
  const { scripts } = JSON.parse(readFileSync(`${root}package.json`, "utf8")) as { scripts: { test: string } };
  expect(scripts.test).toMatch(/&& vitest run( --project \w+)+$/); // npm appends arguments to the end
});
