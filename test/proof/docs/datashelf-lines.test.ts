import { stripVTControlCharacters } from "node:util";
import { expect, inject, test } from "vitest";
import { commandsOf } from "../../datashelf/contract.ts";
import { run } from "../../docs/terminal.ts";

const [, ...lines] = commandsOf("Testing");

/* A test run in a test run: it takes the server of this one. */
test.for(lines)("%s runs these tests, and they pass", { timeout: 650_000 }, async (line) => {
  const ran = await run(line, { TEST_DATABASE_URL: inject("serverUrl") }, 600_000);

  expect(ran.code, ran.said).toBe(0);
  const [, passed = "0"] = /Tests\D+(\d+) passed/.exec(stripVTControlCharacters(ran.output)) ?? [];
  expect(Number(passed)).toBeGreaterThan(0);
  expect(ran.output).toContain(line.replace("npm test ", ""));
});
